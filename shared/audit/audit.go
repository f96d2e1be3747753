// Package audit writes one JSON line for each token that is issued, each refusal
// at the edge and each decision at a hop. The edge and the hops share the schema,
// so that one query on txn tells a request's whole way through the mesh.
//
// Fields are only ever added, never renamed or removed.
package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Kind says which layer decided.
type Kind string

// The kinds of records.
const (
	Issue Kind = "issue" // a token was signed at the edge
	Edge  Kind = "edge"  // the edge refused, or passed on without identity
	Check Kind = "check" // a hop decided
)

// Record is one decision. It never holds a token, a key or a whole session:
// Inputs has the claims that the loaded policies read, and no others.
type Record struct {
	Time       time.Time      `json:"time"`
	Kind       Kind           `json:"kind"`
	ID         string         `json:"id"`                   // of this record
	Txn        string         `json:"txn,omitempty"`        // of a verified or issued token
	TraceID    string         `json:"trace_id,omitempty"`   // W3C Trace Context
	RequestID  string         `json:"request_id,omitempty"` // x-request-id; chosen by the client
	Listener   string         `json:"listener,omitempty"`
	Caller     string         `json:"caller,omitempty"` // workload
	Callee     string         `json:"callee,omitempty"` // workload, or edge/API at the edge
	Method     string         `json:"method,omitempty"`
	Path       string         `json:"path,omitempty"` // without the query
	Host       string         `json:"host,omitempty"`
	Sub        string         `json:"sub,omitempty"`
	Iss        string         `json:"iss,omitempty"`
	Decision   string         `json:"decision"` // allow or deny
	Reason     string         `json:"reason"`
	Policy     string         `json:"policy,omitempty"`
	Rule       string         `json:"rule,omitempty"`
	Mode       string         `json:"mode,omitempty"`
	Shadow     []string       `json:"shadow,omitempty"`
	Withheld   []string       `json:"withheld,omitempty"` // identity headers that were not set, as their claim cannot be a header's value
	DurationUS int64          `json:"duration_us"`        // microseconds
	Generation string         `json:"generation,omitempty"`
	Inputs     map[string]any `json:"inputs,omitempty"`
	Unrecorded []string       `json:"unrecorded,omitempty"` // names of inputs that were read and are not kept, sorted
}

// Log writes records. It may be used from many goroutines; each record is one
// Write of one whole line.
type Log struct {
	mu sync.Mutex
	w  io.Writer
}

// New writes to w.
func New(w io.Writer) *Log { return &Log{w: w} }

// Write appends the record.
func (l *Log) Write(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("audit record: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("audit record: %w", err)
	}
	return nil
}
