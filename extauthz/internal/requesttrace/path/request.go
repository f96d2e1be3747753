// Package path makes the way of a request from its records: the edge, then each hop under the one that called it. It prints
// the way as text, JSON or one HTML page.
package path

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
	"github.com/meshpass/meshpass/shared/decision"
)

// Request is the way of one request.
type Request struct {
	Txn        string    `json:"txn,omitempty"`
	TraceIDs   []string  `json:"trace_ids,omitempty"`
	RequestIDs []string  `json:"request_ids,omitempty"`
	Sub        string    `json:"sub,omitempty"`
	Iss        string    `json:"iss,omitempty"`
	Actor      string    `json:"actor,omitempty"`
	Began      time.Time `json:"began"`
	TookUS     int64     `json:"took_us"` // until the last record began, or its answer came
	Verdict    Verdict   `json:"verdict"`
	Reason     string    `json:"reason,omitempty"`    // of a denial
	DeniedAt   string    `json:"denied_at,omitempty"` // the callee that denied first
	Steps      []*Step   `json:"steps"`
	OtherTxns  []string  `json:"other_txns,omitempty"` // with the same trace id or request id
	Omitted    int       `json:"omitted,omitempty"`    // records that are left out, because there are too many
	SkewUS     int64     `json:"skew_us,omitempty"`    // how much the clocks differ at least: a step began so much before the one that called it
}

// Step is the edge, a hop, or an answer of Envoy without a decision.
type Step struct {
	Callee   string    `json:"callee"`
	Caller   string    `json:"caller,omitempty"`
	Method   string    `json:"method,omitempty"`
	Path     string    `json:"path,omitempty"`
	Host     string    `json:"host,omitempty"`
	Time     time.Time `json:"time"`
	OffsetUS int64     `json:"offset_us"` // since the request began
	Decision *Decision `json:"decision,omitempty"`
	Answers  []*Answer `json:"answers,omitempty"` // of proxies
	Steps    []*Step   `json:"steps,omitempty"`   // that this one caused

	number int   // in the order of the output, from 1
	parent *Step // nil: the first step
}

// Decision is what an audit record has; without one, what Envoy's access log has of it.
type Decision struct {
	ID         string         `json:"id,omitempty"`
	Decision   string         `json:"decision"`
	Reason     string         `json:"reason"`
	Detail     string         `json:"detail,omitempty"`
	Policy     string         `json:"policy,omitempty"`
	Folder     string         `json:"folder,omitempty"`
	Rule       string         `json:"rule,omitempty"`
	Mode       string         `json:"mode,omitempty"`
	Shadow     []string       `json:"shadow,omitempty"`
	Inputs     map[string]any `json:"inputs,omitempty"`
	Generation string         `json:"generation,omitempty"`
	TookUS     int64          `json:"took_us"`
	Source     string         `json:"source"`
	Line       int            `json:"line"`
	NoRecord   bool           `json:"no_record,omitempty"` // only the access log has it
	RuleName   string         `json:"-"`
}

// Answer is what a proxy answered, by its access log.
type Answer struct {
	By      string `json:"by"` // envoy or tyk
	Status  int    `json:"status"`
	Flags   string `json:"flags,omitempty"`
	Details string `json:"details,omitempty"`
	TookUS  int64  `json:"took_us"`
	Cluster string `json:"cluster,omitempty"`
	Joined  string `json:"joined"` // by which id; time: no id, but the only line of that time, API, method and path
	Source  string `json:"source"`
	Line    int    `json:"line"`

	began time.Time // zero: not known to the millisecond
}

// Verdict sums up what happened to a request, or at a step.
type Verdict string

// The verdicts.
const (
	Allowed   Verdict = "allow"
	Denied    Verdict = "deny"
	Undecided Verdict = "none" // no decision was made, or none is in the input
)

// authorizerFailed is Envoy's response_code_details if it denies because it got no answer to a Check.
const authorizerFailed = "ext_authz_error"

// Verdict is that of the decision. Without one, Envoy may have denied because it got no answer.
func (s *Step) Verdict() Verdict {
	failed := slices.ContainsFunc(s.Answers, func(a *Answer) bool { return a.Details == authorizerFailed })
	switch {
	case s.Decision != nil && s.Decision.Decision == "allow":
		return Allowed
	case s.Decision != nil || failed:
		return Denied
	default:
		return Undecided
	}
}

func (s *Step) denialReason() string {
	if s.Decision != nil {
		return s.Decision.Reason
	}
	return authorizerFailed
}

// sortOrder puts the answer of the callee's own proxy first.
func (a *Answer) sortOrder() int {
	if a.Joined == "decision_id" {
		return 0
	}
	return 1
}

// New makes the way of a request from its records.
func New(g *search.Group) *Request {
	b := builder{request: &Request{Txn: g.Txn, OtherTxns: g.OtherTxns, Omitted: g.Omitted, Verdict: Undecided}}
	for i, r := range g.Records {
		r = r.WithoutTokens()
		g.Records[i] = r
		b.addIdentity(r)
		if r.Kind.IsAudit() {
			b.addDecision(r)
		}
	}
	b.addAnswers(g.Records)
	b.addTyk(g)
	b.linkSteps()
	b.sumUp()
	return b.request
}

type builder struct {
	request *Request
	steps   []*Step
}

func (b *builder) addIdentity(r record.Record) {
	q := b.request
	for _, field := range []struct {
		into  *string
		value string
	}{{&q.Sub, r.Sub}, {&q.Iss, r.Iss}, {&q.Actor, r.Actor}} {
		if *field.into == "" {
			*field.into = field.value
		}
	}
	for _, list := range []struct {
		into  *[]string
		value string
	}{{&q.TraceIDs, r.TraceID}, {&q.RequestIDs, r.RequestID}} {
		if list.value != "" && !slices.Contains(*list.into, list.value) {
			*list.into = append(*list.into, list.value)
		}
	}
}

// addDecision adds a step. If an allow could not be recorded in time, its denial has the same id and is the answer.
func (b *builder) addDecision(r record.Record) {
	d := &Decision{
		ID: r.ID, Decision: r.Decision, Reason: r.Reason, Detail: r.Detail, Policy: r.Policy, Folder: r.Folder, Rule: r.Rule, RuleName: r.RuleName(), Mode: r.Mode,
		Shadow: r.Shadow, Inputs: r.Inputs, Generation: r.Generation, TookUS: r.Took.Microseconds(), Source: r.Source, Line: r.Line,
	}
	if s := b.findDecision(r.ID); s != nil {
		if d.Decision != "allow" {
			s.Decision = d
		}
		return
	}
	b.steps = append(b.steps, &Step{Callee: r.Callee, Caller: r.Caller, Method: r.Method, Path: r.Path, Host: r.Host, Time: r.Time, Decision: d})
}

func (b *builder) findDecision(id string) *Step {
	for _, s := range b.steps {
		if id != "" && s.Decision != nil && s.Decision.ID == id {
			return s
		}
	}
	return nil
}

// addAnswers adds the lines of Envoy's access log to the decisions that they name. The lines of the calling side, and of the gateway's own
// Envoy, have no such name: they are added to the hop, or to the edge, with the same method, path and host that began while they lasted. The
// clocks of two machines can differ: a line that is left is added to the only such hop that has no line of its caller.
func (b *builder) addAnswers(records []record.Record) {
	var unnamed, left []record.Record
	for _, r := range records {
		switch {
		case r.Kind != record.Envoy:
		case r.ID == "":
			unnamed = append(unnamed, r)
		default:
			b.addNamedAnswer(r)
		}
	}
	for _, r := range unnamed {
		if called := b.findCalled(r, wasCalledDuring); len(called) > 0 {
			b.addAnswer(called[0], r)
		} else {
			left = append(left, r)
		}
	}
	for _, r := range left {
		if called := b.findCalled(r, mayBeOfOtherClock); len(called) == 1 {
			b.addAnswer(called[0], r)
		} else {
			b.addAnswer(b.addUndecided(r), r)
		}
	}
}

func (b *builder) addAnswer(s *Step, r record.Record) {
	s.Answers = append(s.Answers, &Answer{
		By: "envoy", Status: r.Status, Flags: r.Flags, Details: r.Details, TookUS: r.Took.Microseconds(), Cluster: r.Cluster, Joined: joinedBy(b.request, s, r),
		Source: r.Source, Line: r.Line, began: r.Time,
	})
}

// addNamedAnswer adds a line to its decision. If the record of the decision is not in the input, the line has a part of it.
func (b *builder) addNamedAnswer(r record.Record) {
	s := b.findDecision(r.ID)
	if s == nil {
		s = b.addUndecided(r)
		s.Decision = &Decision{ID: r.ID, Decision: "allow", Reason: r.Reason, Policy: r.Policy, Rule: r.Rule, RuleName: r.RuleName(), Source: r.Source, Line: r.Line, NoRecord: true}
		if r.Details == "ext_authz_denied" || r.Details == "" && decision.Reason(r.Reason).Class() != decision.Allowed {
			s.Decision.Decision = "deny"
		}
	}
	b.addAnswer(s, r)
}

// addUndecided adds a step that only an access log shows.
func (b *builder) addUndecided(r record.Record) *Step {
	s := &Step{Callee: calleeOf(r), Caller: strings.TrimPrefix(trimTrustDomain(r.Peer), "/"), Method: r.Method, Path: r.Path, Host: r.Host, Time: r.Time}
	b.steps = append(b.steps, s)
	return s
}

func joinedBy(q *Request, s *Step, r record.Record) string {
	switch {
	case s.Decision != nil && r.ID != "":
		return "decision_id"
	case r.Txn != "" && r.Txn == q.Txn:
		return "txn"
	case r.RequestID != "" && slices.Contains(q.RequestIDs, r.RequestID):
		return "request_id"
	default:
		return "trace_id"
	}
}

// trimTrustDomain makes ns/shop/sa/orders of spiffe://cluster.local/ns/shop/sa/orders.
func trimTrustDomain(peer string) string {
	_, id, found := strings.Cut(strings.TrimPrefix(peer, "spiffe://"), "/")
	if !found {
		return ""
	}
	return id
}

// calleeOf names the callee of an access log line without a decision: the host that was called.
func calleeOf(r record.Record) string {
	if r.Host != "" {
		return r.Host
	}
	return r.Cluster
}

// slack is how much earlier than the answering side the calling side's time can be rounded.
const slack = 2 * time.Millisecond

// maxSkew is how much the clocks of two machines may differ for a line of one of them to be joined with a step of the other.
const maxSkew = 5 * time.Second

// wasCalledDuring reports whether a step began while a line of its caller lasted.
func wasCalledDuring(s *Step, r record.Record) bool {
	return !s.Time.Before(r.Time.Add(-slack)) && s.Time.Before(r.Time.Add(r.Took+slack))
}

// mayBeOfOtherClock reports whether a step is near a line, and has no line of its caller.
func mayBeOfOtherClock(s *Step, r record.Record) bool {
	hasCaller := slices.ContainsFunc(s.Answers, func(a *Answer) bool { return a.By == "envoy" && a.Joined != "decision_id" })
	return !hasCaller && s.Time.Sub(r.Time).Abs() <= maxSkew
}

// findCalled finds the steps that a line without a decision may belong to.
func (b *builder) findCalled(r record.Record, isNear func(*Step, record.Record) bool) (called []*Step) {
	isInbound := strings.HasPrefix(r.Cluster, "inbound")
	for _, s := range b.steps {
		isSide := isEdge(s)
		if !isInbound {
			isSide = !isSide && s.Caller != ""
		}
		if s.Decision != nil && isSide && s.Method == r.Method && s.Path == r.Path && (s.Host == r.Host || s.Host == "") && isNear(s, r) {
			called = append(called, s)
		}
	}
	return called
}

// addTyk adds the lines of Tyk's access log to the step of the edge. Most versions write no id: a line counts if it is the
// only one of the time, the API, the method and the path.
func (b *builder) addTyk(g *search.Group) {
	add := func(r record.Record, joined string) {
		s := b.findEdge()
		if s == nil {
			s = &Step{Callee: r.Callee, Method: r.Method, Path: r.Path, Host: r.Host, Time: r.Time.Add(-r.Took)}
			b.steps = append(b.steps, s)
		}
		s.Answers = append(s.Answers, &Answer{By: "tyk", Status: r.Status, Flags: r.Flags, Details: r.Details, TookUS: r.Took.Microseconds(), Joined: joined, Source: r.Source, Line: r.Line})
	}
	for _, r := range g.Records {
		if r.Kind == record.Tyk {
			add(r, "trace_id")
		}
	}
	if edge := b.findEdge(); edge != nil && !slices.ContainsFunc(edge.Answers, func(a *Answer) bool { return a.By == "tyk" }) {
		var fitting []record.Record
		for _, r := range g.Candidates {
			if b.fitsEdge(edge, r) {
				fitting = append(fitting, r)
			}
		}
		if len(fitting) == 1 {
			add(fitting[0], "time")
		}
	}
}

func (b *builder) findEdge() *Step {
	for _, s := range b.steps {
		if isEdge(s) {
			return s
		}
	}
	return nil
}

func isEdge(s *Step) bool { return strings.HasPrefix(s.Callee, "edge/") }

// fitsEdge: Tyk logs the path that it called, and whole seconds.
func (b *builder) fitsEdge(edge *Step, r record.Record) bool {
	began := r.Time.Add(-r.Took)
	if r.Callee != edge.Callee || r.Method != edge.Method || edge.Time.Sub(began).Abs() > 1500*time.Millisecond {
		return false
	}
	paths := []string{edge.Path}
	for _, s := range b.steps {
		paths = append(paths, s.Path)
	}
	return slices.Contains(paths, r.Path)
}

// linkSteps puts the edge first, because clocks differ, and each hop under the step that called it.
func (b *builder) linkSteps() {
	edge := b.findEdge()
	slices.SortStableFunc(b.steps, func(x, y *Step) int {
		switch {
		case x == edge:
			return -1
		case y == edge:
			return 1
		default:
			return x.Time.Compare(y.Time)
		}
	})
	for i, s := range b.steps {
		s.parent = findCaller(s, slices.Backward(b.steps[:i]), 0)
	}
	for i, s := range b.steps {
		if s.parent == nil {
			s.parent = findCaller(s, slices.All(b.steps[i+1:]), maxSkew)
		}
	}
	for _, s := range b.steps {
		if s.parent == nil && s != edge {
			s.parent = edge // which calls the first hop
		}
		if s.parent == nil {
			b.request.Steps = append(b.request.Steps, s)
			continue
		}
		s.parent.Steps = append(s.parent.Steps, s)
		if skew := s.parent.Time.Sub(s.Time); skew > slack {
			b.request.SkewUS = max(b.request.SkewUS, skew.Microseconds())
		}
	}
}

// findCaller finds the first step whose callee is the caller of another one. It may have begun later by so much, because clocks differ.
func findCaller(s *Step, steps iter.Seq2[int, *Step], later time.Duration) *Step {
	for _, other := range steps {
		if s.Caller != "" && other.Callee == s.Caller && other.Time.Sub(s.Time) <= later && !other.isBelow(s) {
			return other
		}
	}
	return nil
}

// isBelow reports whether a step was caused by another one.
func (s *Step) isBelow(other *Step) bool {
	for at := s.parent; at != nil; at = at.parent {
		if at == other {
			return true
		}
	}
	return false
}

func (b *builder) sumUp() {
	q := b.request
	for i, s := range b.steps {
		if i == 0 || s.Time.Before(q.Began) {
			q.Began = s.Time
		}
	}
	for _, s := range b.steps {
		slices.SortStableFunc(s.Answers, func(x, y *Answer) int { return x.sortOrder() - y.sortOrder() })
		s.OffsetUS = s.Time.Sub(q.Began).Microseconds()
		q.TookUS = max(q.TookUS, s.OffsetUS)
		if s.Decision != nil {
			q.TookUS = max(q.TookUS, s.OffsetUS+s.Decision.TookUS)
		}
		for _, a := range s.Answers {
			began := s.OffsetUS
			if !a.began.IsZero() {
				began = a.began.Sub(q.Began).Microseconds()
			}
			q.TookUS = max(q.TookUS, began+a.TookUS)
		}
		switch verdict := s.Verdict(); {
		case verdict == Denied && q.DeniedAt == "":
			q.Verdict, q.DeniedAt, q.Reason = Denied, s.Callee, s.denialReason()
		case verdict == Allowed && q.Verdict == Undecided:
			q.Verdict = Allowed
		}
	}
	number := 0
	visitSteps(q.Steps, func(s *Step) { number++; s.number = number })
}

// visitSteps visits steps in the order of the output.
func visitSteps(steps []*Step, visit func(*Step)) {
	for _, s := range steps {
		visit(s)
		visitSteps(s.Steps, visit)
	}
}
