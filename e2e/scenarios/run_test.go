package scenarios_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// canned is an environment in which every request ends in the same way.
type canned struct {
	answer  scenarios.Answer
	records []scenarios.Record
	hits    []string
}

func (c canned) Send(context.Context, scenarios.Request) (scenarios.Answer, error) {
	return c.answer, nil
}

func (c canned) ReadRecords(context.Context, string) ([]scenarios.Record, error) {
	return c.records, nil
}
func (c canned) ReadHits(context.Context, string) ([]string, error) { return c.hits, nil }

// newRecord makes an audit record with the fields that each one has.
func newRecord(kind, decision, reason string) scenarios.Record {
	return scenarios.Record{"time": "2026-06-01T12:00:00Z", "kind": kind, "id": "1", "txn": "t1", "decision": decision, "reason": reason, "duration_us": 5}
}

// allowed is an environment in which the request of the test passes.
func allowed() canned {
	return canned{
		answer: scenarios.Answer{
			Status: 200,
			Header: http.Header{"X-Served-By": {"orders"}, "X-Meshpass-Txn": {"t1"}},
			Body:   []byte(`{"item": {"stock": 7}}`),
		},
		records: []scenarios.Record{newRecord("issue", "allow", "issued"), newRecord("check", "allow", "rule_allowed")},
		hits:    []string{"orders"},
	}
}

func TestRunJudgesEveryPart(t *testing.T) {
	step := scenarios.Step{
		Times: 1,
		Send:  scenarios.Send{To: "gateway", Method: "GET", Path: "/"},
		Expect: scenarios.Expect{
			Status:  200,
			By:      "orders",
			Headers: map[string]string{"X-Meshpass-Txn": scenarios.Anything},
			Body:    map[string]string{"item.stock": "7"},
			Audit:   []map[string]string{{"kind": "issue"}, {"kind": "check", "decision": "allow"}},
			Hits:    []string{"orders"},
		},
	}
	tests := []struct {
		name   string
		change func(*canned)
		want   []string
	}{
		{"as expected", func(*canned) {}, nil},
		{"status", func(c *canned) { c.answer.Status = 403 }, []string{"status: got 403, want 200"}},
		{"closed", func(c *canned) { c.answer.Closed = true }, []string{
			"connection closed: got true, want false", `answered by: got "", want "orders"`}},
		{"header", func(c *canned) { c.answer.Header.Del("X-Meshpass-Txn") }, []string{`header X-Meshpass-Txn: got "", want "*"`}},
		{"body", func(c *canned) { c.answer.Body = []byte(`{}`) }, []string{`body item.stock: got "", want "7"`}},
		{"hits", func(c *canned) { c.hits = append(c.hits, "inventory") }, []string{
			`services reached: got "orders → inventory", want "orders"`}},
		{"record field", func(c *canned) { c.records[1] = newRecord("check", "deny", "no_rule") }, []string{
			`audit record 2, decision: got "deny", want "allow"`}},
		{"one record too many", func(c *canned) { c.records = append(c.records, newRecord("check", "deny", "no_rule")) }, []string{
			"audit records: got 3, want 2: [issue  allow issued; check  allow rule_allowed; check  deny no_rule]"}},
		{"no record by the schema", func(c *canned) { c.records[0]["more"] = 1 }, []string{
			"audit record 1: additionalProperties 'more' not allowed"}},
		{"two transactions", func(c *canned) { c.records[1]["txn"] = "t2" }, []string{
			`transaction of record 2: got "t2", want "t1"`}},
		{"transaction sent", func(c *canned) { c.answer.Header.Set("X-Meshpass-Txn", "t3") }, []string{
			`transaction sent to the client: got "t3", want "t1"`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			driver := allowed()
			test.change(&driver)
			played, err := scenarios.Run(t.Context(), driver, scenarios.Scenario{Name: "case", Steps: []scenarios.Step{step}})
			if err != nil {
				t.Fatal(err)
			}
			if len(played) != 1 {
				t.Fatalf("%d exchanges, want 1", len(played))
			}
			if diff := cmp.Diff(test.want, played[0].Problems); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRunRepeatsAStep(t *testing.T) {
	step := scenarios.Step{Times: 3, Expect: scenarios.Expect{Status: 200, Hits: []string{"orders"}, Audit: []map[string]string{{}, {}}}}
	played, err := scenarios.Run(t.Context(), allowed(), scenarios.Scenario{Name: "case", Steps: []scenarios.Step{step, step}})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, e := range played {
		ids[e.Request.ID] = true
	}
	if len(played) != 6 || len(ids) != 6 {
		t.Errorf("%d exchanges with %d ids, want 6 and 6", len(played), len(ids))
	}
}
