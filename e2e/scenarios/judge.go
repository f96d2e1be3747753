package scenarios

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// judge lists what differs from the expectation, one line each.
func (e *Exchange) judge() []string {
	var j judgement
	j.same("status", e.Answer.Status, e.Expect.Status)
	j.same("connection closed", e.Answer.Closed, e.Expect.Closed)
	if e.Expect.By != "" {
		j.same("answered by", e.Answer.By(), e.Expect.By)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Expect.Headers)) {
		j.text("header "+name, e.Answer.Header.Get(name), e.Expect.Headers[name])
	}
	for _, path := range slices.Sorted(maps.Keys(e.Expect.Body)) {
		j.text("body "+path, e.Answer.Field(path), e.Expect.Body[path])
	}
	j.same("services reached", strings.Join(e.Hits, " → "), strings.Join(e.Expect.Hits, " → "))
	j.records(e.Records, e.Expect.Audit)
	j.oneTransaction(e)
	return j.problems
}

type judgement struct{ problems []string }

func (j *judgement) add(format string, args ...any) {
	j.problems = append(j.problems, fmt.Sprintf(format, args...))
}

func (j *judgement) same(what string, got, want any) {
	if got != want {
		j.add("%s: got %v, want %v", what, quoted(got), quoted(want))
	}
}

// text compares values, and admits every value but an empty one for Anything.
func (j *judgement) text(what, got, want string) {
	if want == Anything && got != "" {
		return
	}
	j.same(what, got, want)
}

func (j *judgement) records(got []Record, want []map[string]string) {
	if len(got) != len(want) {
		j.add("audit records: got %d, want %d: %s", len(got), len(want), summary(got))
		return
	}
	for i, fields := range want {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			j.text(fmt.Sprintf("audit record %d, %s", i+1, field), got[i].Text(field), fields[field])
		}
	}
}

// oneTransaction holds for every case: whatever layers saw a token saw the same transaction, and
// the client is told which, once.
func (j *judgement) oneTransaction(e *Exchange) {
	txn := ""
	for i, record := range e.Records {
		switch seen := record.Text("txn"); {
		case seen == "":
		case txn == "":
			txn = seen
		default:
			j.same(fmt.Sprintf("transaction of record %d", i+1), seen, txn)
		}
	}
	if told := e.Answer.Header.Values(identity.TxnHeader); len(told) > 0 {
		j.same("transaction told to the client", strings.Join(told, " and "), txn)
	}
}

func summary(records []Record) string {
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.Join([]string{r.Text("kind"), r.Text("callee"), r.Text("decision"), r.Text("reason")}, " "))
	}
	return "[" + strings.Join(lines, "; ") + "]"
}

func quoted(value any) string {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(value)
}
