package scenarios

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/shared/identity"
)

// findDifferences compares the outcome with the expected one, and returns a line for each difference.
func (e *Exchange) findDifferences() []string {
	var d differences
	d.compareValue("status", e.Answer.Status, e.Expect.Status)
	d.compareValue("connection closed", e.Answer.Closed, e.Expect.Closed)
	if e.Expect.By != "" {
		d.compareValue("answered by", e.Answer.AnsweredBy(), e.Expect.By)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Expect.Headers)) {
		d.compareText("header "+name, e.Answer.Header.Get(name), e.Expect.Headers[name])
	}
	for _, path := range slices.Sorted(maps.Keys(e.Expect.Body)) {
		d.compareText("body "+path, e.Answer.BodyField(path), e.Expect.Body[path])
	}
	d.compareValue("services reached", strings.Join(e.Hits, " → "), strings.Join(e.Expect.Hits, " → "))
	d.checkRecords(e.Records)
	d.compareRecords(e.Records, e.Expect.Audit)
	d.compareTransactions(e)
	return d.lines
}

type differences struct{ lines []string }

func (d *differences) addLine(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *differences) compareValue(name string, got, want any) {
	if got != want {
		d.addLine("%s: got %v, want %v", name, quoteText(got), quoteText(want))
	}
}

// compareText compares two texts. Anything matches every text that is not empty.
func (d *differences) compareText(name, got, want string) {
	if want == Anything && got != "" {
		return
	}
	d.compareValue(name, got, want)
}

// checkRecords checks a rule of every case: each record matches the published schema.
func (d *differences) checkRecords(all []Record) {
	for i, record := range all {
		line, err := json.Marshal(record)
		if err == nil {
			err = audittest.CheckLine(line)
		}
		if err != nil {
			d.addLine("audit record %d: %v", i+1, err)
		}
	}
}

func (d *differences) compareRecords(got []Record, want []map[string]string) {
	if len(got) != len(want) {
		d.addLine("audit records: got %d, want %d: %s", len(got), len(want), summarizeRecords(got))
		return
	}
	for i, fields := range want {
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			d.compareText(fmt.Sprintf("audit record %d, %s", i+1, field), got[i].FieldText(field), fields[field])
		}
	}
}

// compareTransactions checks a rule of every case: all layers that saw a token saw the same
// transaction, and the answer names it to the client, once.
func (d *differences) compareTransactions(e *Exchange) {
	txn := ""
	for i, record := range e.Records {
		switch seen := record.FieldText("txn"); {
		case seen == "":
		case txn == "":
			txn = seen
		default:
			d.compareValue(fmt.Sprintf("transaction of record %d", i+1), seen, txn)
		}
	}
	if told := e.Answer.Header.Values(identity.TxnHeader); len(told) > 0 {
		d.compareValue("transaction sent to the client", strings.Join(told, " and "), txn)
	}
}

func summarizeRecords(records []Record) string {
	var lines []string
	for _, r := range records {
		lines = append(lines, strings.Join([]string{r.FieldText("kind"), r.FieldText("callee"), r.FieldText("decision"), r.FieldText("reason")}, " "))
	}
	return "[" + strings.Join(lines, "; ") + "]"
}

func quoteText(value any) string {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(value)
}
