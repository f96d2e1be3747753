// Package audit writes the audit trail: one JSON line for each token that is issued, for
// each denial at the edge, and for each decision at a hop.
//
// A [Record] is one decision. Edge and hops have the same schema, so that one query on
// txn shows the whole way of a request through the mesh. Fields are only added, never
// renamed or removed.
//
// A [Log] writes records. [Log.Record] puts a record into a queue and returns, and one
// goroutine writes, so that no request waits for its record. Records can therefore be lost:
// the queue is full, or the write fails. Others are left out on purpose: denials of anonymous
// callers above a limit ([Settings.Anonymous]), and a share of the allows
// ([Settings.SampleAllowed]). All of them are counted, and a line of the kind gap has the
// number, the time of the first one and the cause ([Gap]).
//
// With [Settings.Required], an allow waits for its record ([Log.RecordAllow]): a request
// whose record cannot be written is not allowed. Denials never wait. The queue keeps a
// quarter of its room for allows, so that a flood of denials does not end them.
//
// With [Settings.Chain], the lines are a hash chain with signed checkpoints. The writer makes it,
// so a caller does not wait for it.
package audit

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// Kind is the layer that decided.
type Kind string

// The kinds of records.
const (
	KindIssue Kind = "issue" // a token was signed at the edge
	KindEdge  Kind = "edge"  // the edge denied, or passed the request on without identity
	KindCheck Kind = "check" // a hop decided
	KindGap   Kind = "gap"   // records are missing; see [Gap]

	KindCheckpoint Kind = "checkpoint" // a signature about the lines before; see [Checkpoint]
)

// Record is one decision. It never holds a token, a key or a whole session: Inputs has
// the attributes that the active documents read, and no others.
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
	Detail     string         `json:"detail,omitempty"` // at the edge: the cause of a denial, as in the log
	Policy     string         `json:"policy,omitempty"`
	Folder     string         `json:"folder,omitempty"` // of Policy: names of documents are unique in a folder
	Rule       string         `json:"rule,omitempty"`
	Mode       string         `json:"mode,omitempty"`
	Shadow     []string       `json:"shadow,omitempty"`
	Withheld   []string       `json:"withheld,omitempty"` // identity headers that were not set, because their claim cannot be a header value
	DurationUS int64          `json:"duration_us"`        // microseconds
	Generation string         `json:"generation,omitempty"`
	Inputs     map[string]any `json:"inputs,omitempty"`
	Unrecorded []string       `json:"unrecorded,omitempty"` // names of inputs that were read and are not kept, sorted
	Masked     []string       `json:"masked,omitempty"`     // names of the fields whose value is replaced by "masked", sorted

	// Authenticated is set if a token or a session of the caller was verified. Denials
	// without it are limited, because anyone can cause them at any rate.
	Authenticated bool `json:"-"`
}

// Gap is a line that counts missing records.
type Gap struct {
	Time     time.Time      `json:"time"` // when the line was made
	Kind     Kind           `json:"kind"` // gap
	ID       string         `json:"id"`
	Cause    logqueue.Cause `json:"cause"`              // why they are missing
	Count    uint64         `json:"count"`              // how many
	Since    time.Time      `json:"since"`              // when the first of them was made
	Decision string         `json:"decision,omitempty"` // of all of them; only if the cause is suppressed or sampled
	Reason   string         `json:"reason,omitempty"`   // of all of them; only if the cause is suppressed
}

// Suppressed is the cause of a gap if the limit on anonymous denials was reached.
const Suppressed logqueue.Cause = "suppressed"

// DefaultQueue is the limit of [Settings.Queue], in bytes, if it is 0.
const DefaultQueue = 8 << 20

// linger is how long a record may wait for others that are written with it: a write costs as much as a third of a Check.
const linger = 5 * time.Millisecond

// Settings can change while a log runs. The zero value has the defaults.
type Settings struct {
	Queue         int      // limit, in bytes, of records that wait for the writer; 0: DefaultQueue
	Anonymous     int      // limit of recorded anonymous denials a second, for each reason; 0: DefaultAnonymous
	Required      bool     // an allow waits for its record: see RecordAllow
	SampleAllowed *float64 // the share of allows that are recorded, 0 to 1; nil: all; ignored if Required
	Mask          []string // of MaskableFields: fields whose values are replaced by "masked"
	Chain         *Chain   // nil: lines are written without a chain
}

func (s Settings) withDefaults() *Settings {
	if s.Queue == 0 {
		s.Queue = DefaultQueue
	}
	if s.Anonymous == 0 {
		s.Anonymous = DefaultAnonymous
	}
	return &s
}

// admits reports whether a record is in the share of those that are recorded.
func (s *Settings) admits(r Record) bool {
	return r.Decision != "allow" || s.Required || s.SampleAllowed == nil || *s.SampleAllowed >= 1 || positionOf(r) < *s.SampleAllowed
}

// Options of a [Log]. The zero value has the defaults.
type Options struct {
	Settings
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // gets a line when records begin to be lost, and when they are written again; must not block; nil: no lines
}

// Log queues and writes records. It may be used from many goroutines.
type Log struct {
	queue     *logqueue.Queue
	settings  atomic.Pointer[Settings]
	chain     *chainWriter
	anonymous *limiter
	sampled   *sampler
	now       func() time.Time
}

// New returns a log that writes to sink, such as a [logqueue.File], in a goroutine of its
// own. [Log.Close] ends it.
func New(sink io.Writer, o Options) *Log {
	settings := o.Settings.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Log{now: o.Now}
	l.settings.Store(settings)
	l.anonymous = newLimiter(settings.Anonymous, l.addSuppressedGap)
	l.sampled = &sampler{report: l.addSampledGap}
	file, _ := sink.(*logqueue.File)
	l.chain = newChainWriter(file, func() *Chain { return l.settings.Load().Chain }, o.Now)
	l.queue = logqueue.New(sink, logqueue.Options{
		Limit: settings.Queue, Now: o.Now, Report: reportTo(o.Log), Linger: linger,
		Linker: l.chain,
		Line: func(loss logqueue.Loss) []byte {
			return encodeGap(Gap{Time: o.Now().UTC(), Kind: KindGap, ID: newID(), Cause: loss.Cause, Count: loss.Count, Since: loss.Since.UTC()})
		},
	})
	return l
}

// Record queues the record and returns at once. A record that cannot be queued is counted
// in a gap.
func (l *Log) Record(r Record) {
	if r.Decision == "deny" && !r.Authenticated && !l.anonymous.admit(l.now(), r.Reason) {
		return
	}
	settings := l.settings.Load()
	if !settings.admits(r) {
		l.sampled.count(l.now())
		return
	}
	room := linePool.Get().(*[]byte)
	line, err := l.encodeRecord((*room)[:0], &r, settings)
	if err == nil {
		l.queue.AddCopy(line, r.Decision != "allow")
	}
	if cap(line) > cap(*room) && cap(line) <= maxPooledLine {
		*room = line
	}
	linePool.Put(room)
}

// linePool keeps memory for lines that are being encoded.
var linePool = sync.Pool{New: func() any { room := make([]byte, 0, 1024); return &room }}

const maxPooledLine = 16 << 10

// RecordAllow records an allow before it is given. With [Settings.Required] it returns when
// the record is written, and an error means that the request must not be allowed: the record
// is lost, or ctx ended before it was written. In the second case it can still be written
// later if the writer had begun with it; the record of the denial, which the caller adds,
// has the same id and comes after it. Without Required it is [Log.Record].
func (l *Log) RecordAllow(ctx context.Context, r Record) error {
	settings := l.settings.Load()
	if !settings.Required {
		l.Record(r)
		return nil
	}
	line, err := l.encodeRecord(nil, &r, settings)
	if err != nil {
		return err
	}
	return l.queue.AddAndWait(ctx, line)
}

// RequiresRecords reports whether [Log.RecordAllow] waits for the record.
func (l *Log) RequiresRecords() bool { return l.settings.Load().Required }

// encodeRecord appends the line of a record. It counts a record that cannot be encoded.
func (l *Log) encodeRecord(b []byte, r *Record, settings *Settings) ([]byte, error) {
	if len(settings.Mask) > 0 {
		masked := *r
		masked.mask(settings.Mask)
		r = &masked
	}
	line, err := appendRecord(b, r)
	if err != nil {
		l.queue.CountLost(logqueue.Unencodable)
	}
	return line, err
}

// addSuppressedGap adds a line for denials that were not recorded one by one.
func (l *Log) addSuppressedGap(reason string, count uint64, since time.Time) {
	l.queue.AddMinor(encodeGap(Gap{
		Time: l.now().UTC(), Kind: KindGap, ID: newID(), Cause: Suppressed, Count: count, Since: since.UTC(), Decision: "deny", Reason: reason,
	}))
}

// addSampledGap adds a line for allows that were not recorded.
func (l *Log) addSampledGap(count uint64, since time.Time) {
	l.queue.AddMinor(encodeGap(Gap{
		Time: l.now().UTC(), Kind: KindGap, ID: newID(), Cause: Sampled, Count: count, Since: since.UTC(), Decision: "allow",
	}))
}

// Stats are counts since the log was created.
type Stats struct {
	logqueue.Stats
	Suppressed uint64 // denials that were not recorded because of the limit; each is counted in a gap
	Sampled    uint64 // allows that were not recorded because of the share; each is counted in a gap
	Chain      ChainStats
}

// Stats returns the counts up to now.
func (l *Log) Stats() Stats {
	return Stats{Stats: l.queue.Stats(), Suppressed: l.anonymous.total.Load(), Sampled: l.sampled.total.Load(), Chain: l.chain.Stats()}
}

// Apply changes the settings for later records. Records that are queued already stay.
func (l *Log) Apply(s Settings) {
	settings := s.withDefaults()
	l.settings.Store(settings)
	l.queue.SetLimit(settings.Queue)
	l.queue.AskLinker()
	l.anonymous.perSecond.Store(int64(settings.Anonymous))
}

// Reopen makes the writer open its file again, after a rotation. It does nothing for
// standard output.
func (l *Log) Reopen() { l.queue.Reopen() }

// Flush waits until every earlier record is written or lost. It returns the error of ctx
// if that ends first.
func (l *Log) Flush(ctx context.Context) error { return l.queue.Flush(ctx) }

// Close counts in gaps what was suppressed or sampled, writes the queued records, and stops
// the writer. If ctx ends first, the error has the number of records that were not written.
func (l *Log) Close(ctx context.Context) error {
	l.anonymous.reportSuppressed()
	l.sampled.reportPending()
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

// encodeGap encodes a gap, which cannot fail.
func encodeGap(gap Gap) []byte {
	text, err := encodeLine(gap)
	if err != nil {
		panic(err) // texts, times and numbers only
	}
	return text
}

// encodeLine returns one line of JSON, with the newline.
func encodeLine(value any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return append(logqueue.EscapeJSON(text), '\n'), nil
}
