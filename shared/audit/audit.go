// Package audit writes one JSON line for each token that is issued, each refusal
// at the edge and each decision at a hop. The edge and the hops share the schema,
// so that one query on txn tells a request's whole way through the mesh.
//
// Nobody waits for a record to be written: records pass through a queue with one
// writer. Records that are missing, because of a full queue, a failed write or the
// limit on anonymous denials, are counted, and named in records of the kind gap.
//
// Fields are only ever added, never renamed or removed.
package audit

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// Kind says which layer decided.
type Kind string

// The kinds of records.
const (
	KindIssue Kind = "issue" // a token was signed at the edge
	KindEdge  Kind = "edge"  // the edge refused, or passed on without identity
	KindCheck Kind = "check" // a hop decided
	KindGap   Kind = "gap"   // records are missing; see [Gap]
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
	Detail     string         `json:"detail,omitempty"` // at the edge: the cause of a refusal, as in the log
	Policy     string         `json:"policy,omitempty"`
	Folder     string         `json:"folder,omitempty"` // of Policy: names of documents are unique in a folder
	Rule       string         `json:"rule,omitempty"`
	Mode       string         `json:"mode,omitempty"`
	Shadow     []string       `json:"shadow,omitempty"`
	Withheld   []string       `json:"withheld,omitempty"` // identity headers that were not set, as their claim cannot be a header's value
	DurationUS int64          `json:"duration_us"`        // microseconds
	Generation string         `json:"generation,omitempty"`
	Inputs     map[string]any `json:"inputs,omitempty"`
	Unrecorded []string       `json:"unrecorded,omitempty"` // names of inputs that were read and are not kept, sorted

	// Authenticated says that a token or a session of the caller was verified. A denial
	// without is recorded under a limit: anybody can cause it, as often as they like.
	Authenticated bool `json:"-"`
}

// Gap says that records are missing.
type Gap struct {
	Time     time.Time      `json:"time"` // when the gap was noted
	Kind     Kind           `json:"kind"` // gap
	ID       string         `json:"id"`
	Cause    logqueue.Cause `json:"cause"` // why they are missing
	Count    uint64         `json:"count"` // how many
	Since    time.Time      `json:"since"` // when the first of them was made
	Decision string         `json:"decision,omitempty"`
	Reason   string         `json:"reason,omitempty"` // of all of them; only where the cause is suppressed
}

// Suppressed is the cause of a gap that the limit on anonymous denials has made.
const Suppressed logqueue.Cause = "suppressed"

// DefaultQueue is how many bytes of records may wait, unless [Options] say otherwise.
const DefaultQueue = 8 << 20

// Options say how records are kept.
type Options struct {
	Queue     int              // bytes of records that wait for the writer; 0: DefaultQueue
	Anonymous int              // anonymous denials that are recorded a second, for each reason; 0: DefaultAnonymous
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // says when records begin to be lost, and when they are written again; nil: nobody does; must not block
}

// Log takes records and has them written. It may be used from many goroutines.
type Log struct {
	queue     *logqueue.Queue
	anonymous *limiter
	now       func() time.Time
}

// New writes to sink, such as a [logqueue.File], in a goroutine of its own.
func New(sink io.Writer, o Options) *Log {
	if o.Queue == 0 {
		o.Queue = DefaultQueue
	}
	if o.Anonymous == 0 {
		o.Anonymous = DefaultAnonymous
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Log{now: o.Now}
	l.anonymous = newLimiter(o.Anonymous, l.noteSuppressed)
	l.queue = logqueue.New(sink, logqueue.Options{
		Limit: o.Queue, Now: o.Now, Report: reportTo(o.Log),
		Line: func(loss logqueue.Loss) []byte {
			return line(Gap{Time: o.Now().UTC(), Kind: KindGap, ID: newID(), Cause: loss.Cause, Count: loss.Count, Since: loss.Since.UTC()})
		},
	})
	return l
}

// Record queues the record and returns at once, whatever becomes of the log.
func (l *Log) Record(r Record) {
	if r.Decision == "deny" && !r.Authenticated && !l.anonymous.admits(l.now(), r.Reason) {
		return
	}
	text, err := encode(r)
	if err != nil {
		l.queue.Lose(logqueue.Unencodable)
		return
	}
	l.queue.Add(text)
}

// noteSuppressed records denials that were not recorded one by one.
func (l *Log) noteSuppressed(reason string, count uint64, since time.Time) {
	l.queue.Add(line(Gap{
		Time: l.now().UTC(), Kind: KindGap, ID: newID(), Cause: Suppressed, Count: count, Since: since.UTC(), Decision: "deny", Reason: reason,
	}))
}

// Stats are counts since the log was made.
type Stats struct {
	logqueue.Stats
	Suppressed uint64 // denials that the limit has kept out, each counted in a gap
}

// Stats are as of now.
func (l *Log) Stats() Stats { return Stats{l.queue.Stats(), l.anonymous.total.Load()} }

// SetLimits changes, for records to come, the bound of the queue in bytes, and how many
// anonymous denials a second are recorded for each reason.
func (l *Log) SetLimits(queue, anonymous int) {
	l.queue.SetLimit(queue)
	l.anonymous.perSecond.Store(int64(anonymous))
}

// Reopen has the writer open its file again; it does nothing for standard output.
func (l *Log) Reopen() { l.queue.Reopen() }

// Flush returns when every record that was made before is written or lost, or with
// the error of ctx.
func (l *Log) Flush(ctx context.Context) error { return l.queue.Flush(ctx) }

// Close notes what was suppressed and writes what waits, until ctx ends; its error
// says how many records were left.
func (l *Log) Close(ctx context.Context) error {
	l.anonymous.note()
	return l.queue.Close(ctx)
}

func reportTo(log *slog.Logger) func(logqueue.Loss, bool) {
	if log == nil {
		return nil
	}
	return func(loss logqueue.Loss, over bool) {
		cause := []any{"cause", string(loss.Cause)}
		if loss.Err != nil {
			cause = append(cause, "error", loss.Err.Error())
		}
		if over {
			log.Warn("audit records were lost", append(cause, "count", loss.Count, "since", loss.Since.UTC())...)
			return
		}
		log.Error("audit records are being lost; decisions go on", cause...)
	}
}

// line encodes what can always be encoded.
func line(gap Gap) []byte {
	text, err := encode(gap)
	if err != nil {
		panic(err) // texts, times and numbers only
	}
	return text
}

// encode gives one line of JSON.
func encode(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return append(logqueue.EscapeJSON(text), '\n'), nil
}
