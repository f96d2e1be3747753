// Package record reads single lines of logs: audit records of Meshpass, access logs of Envoy in the format of
// manifests/istio/install.yaml, and Tyk's access log in JSON. Everything else is classified, and never an error.
package record

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// Kind is the program that wrote a record, and its subject.
type Kind string

// The kinds.
const (
	Issue Kind = "issue" // audit record: the edge signed a token
	Edge  Kind = "edge"  // audit record: the edge denied, or passed on without identity
	Check Kind = "check" // audit record: a hop decided
	Envoy Kind = "envoy" // access log of Envoy
	Tyk   Kind = "tyk"   // access log of Tyk
)

// IsAudit reports whether a record is of the audit trail.
func (k Kind) IsAudit() bool { return k == Issue || k == Edge || k == Check }

// Record is the content of one line. A field that the line does not have is empty.
type Record struct {
	Source string // file or pod
	Line   int    // from 1
	Kind   Kind
	Time   time.Time // when the request came in; of Tyk: in whole seconds, when it ended

	ID        string // of the audit record; the decision_id in Envoy's log
	Txn       string
	TraceID   string // lower case
	RequestID string
	Sub, Iss  string
	Actor     string // of the token, if a document read it
	Caller    string // workload
	Callee    string // workload, or edge/API

	Method, Path, Host string

	Decision, Reason, Detail string
	Policy, Folder, Rule     string
	Mode                     string
	Shadow                   []string
	Inputs                   map[string]any
	Masked                   []string
	Generation               string

	Took     time.Duration // of the decision, or of the whole request in access logs
	Upstream time.Duration // of Tyk's and Envoy's upstream; 0: unknown

	Status  int    // of HTTP; access logs
	Flags   string // Envoy's response_flags, without "-"
	Details string // Envoy's response_code_details
	Cluster string // Envoy's upstream_cluster
	Peer    string // Envoy's downstream_peer
}

// RuleName is folder-less: policy/rule, or empty.
func (r Record) RuleName() string {
	if r.Policy == "" && r.Rule == "" {
		return ""
	}
	return strings.TrimPrefix(r.Policy+"/"+r.Rule, "/")
}

// Actor claims are inputs of a decision like others.
const actorInput = "claims.act.sub"

// auditLine also has the members of later versions that the search reads.
type auditLine struct {
	audit.Record
	Time looseTime `json:"time"`
	Act  looseText `json:"act"`
}

func parseAudit(line []byte) (Record, error) {
	var a auditLine
	if err := json.Unmarshal(line, &a); err != nil {
		return Record{}, err
	}
	r := Record{
		Kind: Kind(a.Kind), Time: time.Time(a.Time), ID: a.ID, Txn: a.Txn, TraceID: strings.ToLower(a.TraceID), RequestID: a.RequestID, Sub: a.Sub, Iss: a.Iss,
		Actor: string(a.Act), Caller: a.Caller, Callee: a.Callee, Method: a.Method, Path: a.Path, Host: a.Host, Decision: a.Decision, Reason: a.Reason,
		Detail: a.Detail, Policy: a.Policy, Folder: a.Folder, Rule: a.Rule, Mode: a.Mode, Shadow: a.Shadow, Inputs: a.Inputs, Masked: a.Masked,
		Generation: a.Generation, Took: time.Duration(a.DurationUS) * time.Microsecond,
	}
	if actor, ok := a.Inputs[actorInput].(string); ok && r.Actor == "" {
		r.Actor = actor
	}
	return r, nil
}

// ParseGap reads a line that counts missing records.
func ParseGap(line []byte) (audit.Gap, error) {
	var gap audit.Gap
	err := json.Unmarshal(line, &gap)
	return gap, err
}

type envoyLine struct {
	StartTime  looseTime  `json:"start_time"`
	Method     looseText  `json:"method"`
	Path       looseText  `json:"path"`
	Authority  looseText  `json:"authority"`
	RequestID  looseText  `json:"request_id"`
	TraceID    looseText  `json:"trace_id"`
	Code       looseCount `json:"response_code"`
	Flags      looseText  `json:"response_flags"`
	Details    looseText  `json:"response_code_details"`
	Duration   looseCount `json:"duration"`
	Upstream   looseCount `json:"upstream_service_time"`
	Cluster    looseText  `json:"upstream_cluster"`
	Peer       looseText  `json:"downstream_peer"`
	DecisionID looseText  `json:"decision_id"`
	Reason     looseText  `json:"reason"`
	Policy     looseText  `json:"policy"`
	Rule       looseText  `json:"rule"`
	Txn        looseText  `json:"txn"`
	Sub        looseText  `json:"sub"`
}

func parseEnvoy(line []byte) (Record, error) {
	var e envoyLine
	if err := json.Unmarshal(line, &e); err != nil {
		return Record{}, err
	}
	path, _, _ := strings.Cut(string(e.Path), "?") // other formats than ours may have the query
	return Record{
		Kind: Envoy, Time: time.Time(e.StartTime), ID: string(e.DecisionID), Txn: string(e.Txn), TraceID: strings.ToLower(string(e.TraceID)),
		RequestID: string(e.RequestID), Sub: string(e.Sub), Method: string(e.Method), Path: path, Host: string(e.Authority),
		Reason: string(e.Reason), Policy: string(e.Policy), Rule: string(e.Rule), Took: time.Duration(e.Duration) * time.Millisecond,
		Upstream: time.Duration(e.Upstream) * time.Millisecond, Status: int(e.Code), Flags: string(e.Flags), Details: string(e.Details),
		Cluster: string(e.Cluster), Peer: string(e.Peer),
	}, nil
}

type tykLine struct {
	Time     looseTime  `json:"time"`
	API      looseText  `json:"api_id"`
	Method   looseText  `json:"method"`
	Path     looseText  `json:"path"`
	Original looseText  `json:"original_path"` // since 5.14
	Host     looseText  `json:"host"`
	Status   looseCount `json:"status"`
	Latency  looseCount `json:"latency_total"`
	Upstream looseCount `json:"upstream_latency"`
	TraceID  looseText  `json:"trace_id"` // since 5.13.1
	Flags    looseText  `json:"response_flag"`
	Details  looseText  `json:"response_code_details"`
}

func parseTyk(line []byte) (Record, error) {
	var t tykLine
	if err := json.Unmarshal(line, &t); err != nil {
		return Record{}, err
	}
	return Record{
		Kind: Tyk, Time: time.Time(t.Time), TraceID: strings.ToLower(string(t.TraceID)), Callee: "edge/" + string(t.API), Method: string(t.Method),
		Path: string(t.Path), Host: string(t.Host), Status: int(t.Status), Took: time.Duration(t.Latency) * time.Millisecond,
		Upstream: time.Duration(t.Upstream) * time.Millisecond, Flags: string(t.Flags), Details: string(t.Details),
	}, nil
}

// looseText is a text, or empty where a line has null, "-" or something else.
type looseText string

// UnmarshalJSON never fails.
func (t *looseText) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil && text != "-" {
		*t = looseText(text)
	}
	return nil
}

// looseCount is a whole number, also as a text, or 0.
type looseCount int64

// UnmarshalJSON never fails.
func (c *looseCount) UnmarshalJSON(data []byte) error {
	var number int64
	if json.Unmarshal(bytes.Trim(data, `"`), &number) == nil {
		*c = looseCount(number)
	}
	return nil
}

// looseTime is a time of RFC 3339, or the zero time.
type looseTime time.Time

// UnmarshalJSON never fails.
func (t *looseTime) UnmarshalJSON(data []byte) error {
	if parsed, err := time.Parse(time.RFC3339Nano, string(bytes.Trim(data, `"`))); err == nil {
		*t = looseTime(parsed.UTC())
	}
	return nil
}
