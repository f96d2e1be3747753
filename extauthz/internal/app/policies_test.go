package app

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// withPolicies is a configuration whose section policies is that text.
func withPolicies(t *testing.T, section string) files {
	t.Helper()
	f := newFiles(t, oneListener)
	data, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.write("meshpass.yaml", strings.Replace(string(data), "policies: {dirs: [{path: policies}]}", "policies: "+section, 1))
	return f
}

// document is one with those rules, whose target and name are ns/shop/sa/NAME.
func document(name, rules string, more ...string) string {
	return fmt.Sprintf(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: %s}
spec:
  targets: {workloads: [ns/shop/sa/%[1]s]}
  %[3]s
  rules: [%[2]s]
`, name, rules, strings.Join(more, "\n  "))
}

const (
	all  = "{name: all, effect: allow}"
	none = "{name: none, effect: deny, from: {workloads: [ns/edge/sa/*]}}"
	bad  = "{name: bad, effect: maybe}"
)

// at is the answer where a workload of the namespace shop is called.
func (a asked) at(t *testing.T, workload string) string {
	t.Helper()
	request := order(t, gateway)
	request.Attributes.Destination.Principal = "spiffe://cluster.local/ns/shop/sa/" + workload
	answer, err := a.Check(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	fields := answer.GetDynamicMetadata().GetFields()
	return strings.TrimSpace(fields["reason"].GetStringValue() + " " + fields["rule"].GetStringValue())
}

// answers waits until workloads are answered as wanted: "orders: rule_allowed all".
func (a asked) answers(t *testing.T, step string, wanted ...string) {
	t.Helper()
	for _, want := range wanted {
		workload, reason, _ := strings.Cut(want, ": ")
		got := ""
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			if got = a.at(t, workload); got == reason {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %s: got %s, want %s\n%s", step, workload, got, reason, a.log.String())
			}
		}
	}
}

// metric waits until a sample has that value.
func (a asked) metric(t *testing.T, sample string) {
	t.Helper()
	eventually(t, "no "+sample, func() bool { return strings.Contains(body(t, a.ops()+"/metrics"), sample+"\n") })
}

// readFrom waits until the status says that the documents are those of a folder whose name has this version.
func (a asked) readFrom(t *testing.T, version string) {
	t.Helper()
	var got []status.Folder
	eventually(t, "no folder of "+version, func() bool {
		var report status.Report
		if err := json.Unmarshal([]byte(body(t, a.ops()+"/status")), &report); err != nil {
			t.Fatal(err)
		}
		got = report.Policies.Folders
		return len(got) == 1 && strings.HasSuffix(got[0].Version, version)
	})
}

// recorded is all of standard output, once every record that was made is written.
func (a asked) recorded(t *testing.T) string {
	t.Helper()
	eventually(t, "records wait", func() bool { return strings.Contains(body(t, a.ops()+"/status"), `"queued":0,`) })
	return a.stdout.String()
}

// record is the last audit record of a workload.
func (a asked) record(t *testing.T, workload string) map[string]any {
	t.Helper()
	var last map[string]any
	for _, line := range strings.Split(strings.TrimSpace(a.recorded(t)), "\n") {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if record["callee"] == "ns/shop/sa/"+workload {
			last = record
		}
	}
	return last
}

// What is refused is refused by document: it stays as it was, while all others
// follow their files.
func TestADocumentThatIsRefused(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}]}")
	f.write("policies/orders.yaml", document("orders", all))
	f.write("policies/stock.yaml", document("stock", all))
	a := startAsked(t, f)
	a.answers(t, "all is well", "orders: rule_allowed all", "stock: rule_allowed all")

	f.write("policies/orders.yaml", document("orders", bad))
	f.write("policies/stock.yaml", document("stock", none))
	a.answers(t, "one is bad", "stock: rule_denied none", "orders: rule_allowed all")
	a.metric(t, `meshpass_policy_documents_refused{instead="last_good"} 1`)
	a.metric(t, `meshpass_reload_current{source="policies"} 0`)
	status := body(t, a.ops()+"/status")
	for _, want := range []string{`"refused":[{"name":"orders","folder":"policies","file":"`, `"denied":false}]`, `policies/orders.yaml:7:31: effect \"maybe\": write allow or deny`} {
		if !strings.Contains(status, want) {
			t.Errorf("status has no %s: %s", want, status)
		}
	}

	// A restart has no last good version: what the document guards is closed.
	b := startAsked(t, f)
	b.answers(t, "a cold start", "stock: rule_denied none", "orders: policy_refused")
	b.metric(t, `meshpass_policy_documents_refused{instead="denied"} 1`)
	if !strings.Contains(b.log.String(), `policies/orders.yaml:7:31: effect \"maybe\": write allow or deny`) || b.logged(documentsMessage) != 1 {
		t.Errorf("the log does not say where: %s", b.log.String())
	}

	f.write("policies/orders.yaml", document("orders", all))
	for _, one := range []asked{a, b} {
		one.answers(t, "fixed", "orders: rule_allowed all", "stock: rule_denied none")
		one.metric(t, `meshpass_policy_documents_refused{instead="denied"} 0`)
		one.metric(t, `meshpass_policy_documents_refused{instead="last_good"} 0`)
		one.metric(t, `meshpass_reload_current{source="policies"} 1`)
	}
}

// Strict takes a change as a whole, and starts with nothing that is refused.
func TestStrict(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}]}")
	f.write("policies/orders.yaml", document("orders", all))
	f.write("policies/stock.yaml", document("stock", all))
	a := startAsked(t, f, func(p *Process) { p.Strict = true })
	f.write("policies/orders.yaml", document("orders", bad))
	f.write("policies/stock.yaml", document("stock", none))
	a.await(t, refusedMessage)
	a.answers(t, "one is bad", "stock: rule_allowed all", "orders: rule_allowed all")
	if s := body(t, a.ops()+"/status"); strings.Contains(s, `"generation":"`+a.wanted(t)+`"`) {
		t.Errorf("the wanted generation is said to be active: %s", s)
	}
	p := process(f.config)
	p.Strict = true
	if _, err := loadAuthorizer(p); err == nil || !strings.Contains(err.Error(), "policies/orders.yaml:7:31: effect") {
		t.Errorf("a start: got %v", err)
	}
}

// wanted is the generation of what the folders hold, as the status shows it.
func (a asked) wanted(t *testing.T) string {
	t.Helper()
	var report struct{ Policies struct{ Wanted string } }
	if err := json.Unmarshal([]byte(body(t, a.ops()+"/status")), &report); err != nil || report.Policies.Wanted == "" {
		t.Fatalf("status: %+v, %v", report, err)
	}
	return report.Policies.Wanted
}

// The settings of a folder hold for its documents.
func TestFolders(t *testing.T) {
	f := withPolicies(t, `
  unguarded: shadow
  overrides: overrides.yaml
  dirs: [{path: policies, mayTarget: [ns/shop/sa/orders]}, {path: guardrails, guardrail: true}]`)
	if err := os.Mkdir(filepath.Join(filepath.Dir(f.config), "guardrails"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.write("overrides.yaml", "overrides: []")
	f.write("guardrails/stock.yaml", document("stock", none))
	f.write("policies/orders.yaml", document("orders", none))
	f.write("policies/returns.yaml", document("returns", all)) // outside of what the folder may target
	a := startAsked(t, f)
	a.answers(t, "start", "orders: policy_refused", "returns: unenforced", "stock: rule_denied none")
	if got := a.record(t, "returns"); got["mode"] != "unenforced" || got["decision"] != "allow" {
		t.Errorf("got %v", got)
	}
	if !strings.Contains(a.log.String(), "policies.unguarded shadow: ") {
		t.Error("the log does not warn of unguarded: shadow")
	}
	f.write("overrides.yaml", override(time.Now().Add(time.Hour), "orders", "stock"))
	a.answers(t, "overrides", "stock: rule_denied none")
}

func override(until time.Time, workloads ...string) string {
	text := "overrides:\n"
	for _, w := range workloads {
		text += fmt.Sprintf("  - {target: ns/shop/sa/%s, mode: shadow, until: %s, by: alice, reason: INC-7}\n", w, until.Format(time.RFC3339))
	}
	return text
}

// An override takes effect while the process runs, is logged, and ends by the clock alone.
func TestOverrides(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}], overrides: overrides.yaml}")
	f.write("policies/orders.yaml", document("orders", none))
	f.write("overrides.yaml", "overrides: []")
	var ahead atomic.Int64 // seconds that our clock is ahead
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Second) }
	a := startAsked(t, f, func(p *Process) { p.Now = clock })
	a.answers(t, "none", "orders: rule_denied none")

	f.write("overrides.yaml", override(time.Now().Add(time.Hour), "orders"))
	a.answers(t, "lifted", "orders: overridden ns/shop/sa/orders")
	a.metric(t, "meshpass_policy_overrides_active 1")
	record := a.record(t, "orders")
	if record["mode"] != "overridden" || fmt.Sprint(record["shadow"]) != "[deny rule_denied orders/none]" {
		t.Errorf("got %v", record)
	}
	told := `"msg":"an override lifts the policies of a target","target":"ns/shop/sa/orders"`
	if !strings.Contains(a.log.String(), told) || !strings.Contains(a.log.String(), `"by":"alice","reason":"INC-7"`) {
		t.Errorf("not logged: %s", a.log.String())
	}

	f.write("overrides.yaml", strings.ReplaceAll(override(time.Now(), "orders"), "mode: shadow", "mode: off"))
	a.await(t, refusedMessage)
	a.metric(t, `meshpass_reload_current{source="overrides"} 0`)
	a.answers(t, "a mistake in the file lifts and ends nothing", "orders: overridden ns/shop/sa/orders")
	f.write("policies/orders.yaml", document("orders", strings.Replace(none, "name: none", "name: still", 1)))
	eventually(t, "documents do not change while the overrides are refused", func() bool {
		a.at(t, "orders")
		return fmt.Sprint(a.record(t, "orders")["shadow"]) == "[deny rule_denied orders/still]"
	})

	ahead.Store(3601)
	a.answers(t, "its time is over", "orders: rule_denied still")
	a.metric(t, "meshpass_policy_overrides_active 0")
}

// What is only watched is recorded and counted, by document and by rule.
func TestShadow(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}]}")
	f.write("policies/orders.yaml", document("orders", all+", {name: soon, effect: deny, mode: shadow, from: {workloads: [ns/edge/sa/*]}}"))
	f.write("policies/stock.yaml", document("stock", all)+"---\n"+
		strings.Replace(document("stock", none, "mode: shadow"), "name: stock", "name: stock-next", 1))
	a := startAsked(t, f)
	a.answers(t, "start", "orders: rule_allowed all", "stock: rule_allowed all")
	for workload, shadow := range map[string]string{"orders": "[deny rule_denied orders/soon]", "stock": "[deny rule_denied stock-next/none]"} {
		if got := a.record(t, workload); got["mode"] != "shadow" || fmt.Sprint(got["shadow"]) != shadow {
			t.Errorf("%s: got %v", workload, got)
		}
	}
	a.metric(t, `meshpass_shadow_decisions_total{decision="deny",given="allow",listener="sidecar",reason="rule_denied"} 2`)
}
