// Package search finds the records of requests in logs of any size, in bounded memory.
//
// A search has two parts. First it finds the records that a [Query] asks for; they name transactions, trace ids and request
// ids. Then it collects all records of these requests, also those that have only one of the ids: an access log line of a
// hop that denied before it read the token has no transaction. Files are read twice for that. Standard input is
// read once: a line is looked at when it comes, and again before it leaves a window of the last lines.
package search

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
)

// Query is what the records of a request must have, all of it. Empty fields ask for nothing.
type Query struct {
	ID        string // a transaction, or a decision_id
	TraceID   string
	RequestID string
	Sub       string
	Actor     string // the actor of the token, or the workload that called
	Since     time.Time
}

// Matches reports whether a record is one that the query asks for. Records of Tyk's access log have no such fields in
// most versions and match only by their trace id.
func (q Query) Matches(r record.Record) bool {
	return (q.ID == "" || r.Txn == q.ID || r.ID == q.ID) &&
		(q.TraceID == "" || r.TraceID == strings.ToLower(q.TraceID)) &&
		(q.RequestID == "" || r.RequestID == q.RequestID) &&
		(q.Sub == "" || r.Sub == q.Sub) &&
		(q.Actor == "" || r.Actor == q.Actor || r.Kind == record.Check && r.Caller == q.Actor) &&
		!r.Time.Before(q.Since)
}

// mayHide reports whether the record may match but for a masked field.
func (q Query) mayHide(r record.Record) bool {
	return q.Sub != "" && slices.Contains(r.Masked, "sub") || q.RequestID != "" && slices.Contains(r.Masked, "request_id") ||
		q.TraceID != "" && slices.Contains(r.Masked, "trace_id") || q.Actor != "" && slices.Contains(r.Masked, "caller")
}

// findNeedles returns texts that every matching line has, all of them. They are found without parsing.
func (q Query) findNeedles() (needles [][]byte) {
	for _, value := range []string{q.ID, q.RequestID, q.Sub, q.Actor} {
		if run := plainNeedle(value); len(run) > 0 {
			needles = append(needles, run)
		}
	}
	return needles
}

// plainNeedle returns a part of a value that each line with the value has. It is empty if no part is long enough to be searched for.
func plainNeedle(value string) []byte {
	run := longestPlainRun(value)
	if len(run) < 4 {
		return nil
	}
	return []byte(run)
}

// longestPlainRun is the longest part of a text that no encoder of JSON escapes.
func longestPlainRun(text string) string {
	longest := ""
	for run := range strings.FieldsFuncSeq(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("-_.:@", c)
	}) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	return longest
}

func containsAll(line []byte, needles [][]byte) bool {
	for _, needle := range needles {
		if !bytes.Contains(line, needle) {
			return false
		}
	}
	return true
}

var maskedMark = []byte(`"masked":[`)
