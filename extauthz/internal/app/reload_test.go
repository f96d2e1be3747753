package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/internal/tokentest"
)

const (
	oneListener = `listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}]
ops: "127.0.0.1:0"
`
	gateway = "spiffe://cluster.local/ns/edge/sa/tyk-gateway"
)

func quickly(p *Process) { p.Poll = time.Millisecond }

// asked is an authorizer, and a client that asks it about the usual order.
type asked struct {
	*running
	auth.AuthorizationClient
}

func startAsked(t *testing.T, f files, changes ...func(*Process)) asked {
	t.Helper()
	r := start(t, f.config, append(changes, quickly)...)
	return asked{r, auth.NewAuthorizationClient(dial(t, r.addresses()[0]))}
}

// reason of the answer, with the rule that gave it.
func (a asked) reason(t *testing.T) string {
	t.Helper()
	answer, err := a.Check(t.Context(), order(t, gateway))
	if err != nil {
		t.Fatal(err)
	}
	fields := answer.GetDynamicMetadata().GetFields()
	return strings.TrimSpace(fields["reason"].GetStringValue() + " " + fields["rule"].GetStringValue())
}

func TestChangesTakeEffect(t *testing.T) {
	f := newFiles(t, oneListener)
	a := startAsked(t, f)
	for _, step := range []struct{ file, content, message, reason string }{
		{"policies/orders.yaml", allowing("another-name"), "policies reloaded", "rule_allowed another-name"},
		{"jwks.json", otherKeys(t), "keys reloaded", "kid_unknown"},
		{"jwks.json", bothKeys(t), "keys reloaded", "rule_allowed another-name"},
		{"policies/more.yaml", strings.Replace(allowing("x"), "name: orders}", "name: more}", 1), "policies reloaded", "rule_allowed x"},
	} {
		before := a.logged(step.message)
		f.write(step.file, step.content)
		eventually(t, "not reloaded: "+step.file, func() bool { return a.logged(step.message) > before })
		if got := a.reason(t); got != step.reason {
			t.Errorf("%s: got %s, want %s", step.file, got, step.reason)
		}
	}
	if refused := a.logged(refusedMessage); refused != 0 {
		t.Errorf("%d changes refused:\n%s", refused, a.log.String())
	}
}

const (
	refusedMessage   = "change rejected, the last good state stays active"
	documentsMessage = "documents rejected, all others are active"
)

// A change that cannot be used has no effect, is logged once with all its problems, and
// shows in readiness and metrics until it is fixed.
func TestABadChangeKeepsTheLastGoodState(t *testing.T) {
	for _, row := range []struct {
		source, message, file, good, bad string
		problems                         []string
	}{
		{"policies", documentsMessage, "policies/orders.yaml", allowing("read-own-tenant"), strings.Replace(allowing("a"), "when:", "wehn: x, whne:", 1),
			[]string{`policies/orders.yaml:7:59: unknown key \"wehn\"`, `policies/orders.yaml:7:68: unknown key \"whne\"`}},
		{"policies", documentsMessage, "policies/second.yaml", strings.Replace(allowing("a"), "name: orders}", "name: second}", 1), "half: [",
			[]string{"policies/second.yaml:1: a list or mapping that begins with [ or { does not end, or a value is missing"}},
		{"jwks", refusedMessage, "jwks.json", string(tokentest.JWKS(t)), `{"keys": []}`,
			[]string{"meshpass.yaml:5:93: trust[0].jwks.file: ", "key set: no keys"}},
	} {
		t.Run(row.source+" "+row.file, func(t *testing.T) {
			f := newFiles(t, oneListener)
			a := startAsked(t, f)
			before := a.reason(t)

			f.write(row.file, row.bad)
			a.await(t, row.message)
			if got := a.reason(t); got != before {
				t.Errorf("the answer changed from %s to %s", before, got)
			}
			for _, problem := range row.problems {
				if !strings.Contains(a.log.String(), problem) {
					t.Errorf("the log has no %s:\n%s", problem, a.log.String())
				}
			}
			a.shows(t, row.source, 0, 1, "ready\n", "what should replace it is rejected:\n")

			f.write(row.file, row.good)
			eventually(t, "not fixed", func() bool { return !strings.Contains(body(t, a.ops()+"/readyz"), "rejected") })
			a.shows(t, row.source, 1, 1, "ready\n", "")
			if told := a.logged(row.message); told != 1 {
				t.Errorf("logged %d times", told)
			}
		})
	}
}

// shows compares what readiness and metrics say of a source.
func (a asked) shows(t *testing.T, source string, current, failures int, ready ...string) {
	t.Helper()
	for _, want := range ready {
		if got := body(t, a.ops()+"/readyz"); !strings.Contains(got, want) {
			t.Errorf("readyz: got %s, want %s", got, want)
		}
	}
	metrics := body(t, a.ops()+"/metrics")
	for _, want := range []string{
		fmt.Sprintf("meshpass_reload_current{source=%q} %d\n", source, current),
		fmt.Sprintf("meshpass_reload_failures_total{source=%q} %d\n", source, failures),
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics: want %s", want)
		}
	}
}

// Each answer comes from one generation of policies and one of keys, whatever is
// swapped while Checks are under way: the rule that answers is the one of the
// generation that is recorded.
func TestReloadsUnderLoad(t *testing.T) {
	const reloads = 40
	f := newFiles(t, oneListener)
	a := startAsked(t, f)
	request := order(t, gateway)
	var done atomic.Bool
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !done.Load() {
				if answer, err := a.Check(t.Context(), request); err != nil || answer.GetOkResponse() == nil {
					t.Errorf("got %v, %v", answer, err)
					return
				}
			}
		})
	}
	keys := []string{bothKeys(t), string(tokentest.JWKS(t))}
	for i := 1; i <= reloads; i++ {
		f.write("policies/orders.yaml", allowing(fmt.Sprint("rule-", i)))
		f.write("jwks.json", keys[(i-1)%2])
		eventually(t, "not reloaded", func() bool { return a.logged("policies reloaded") == i && a.logged("keys reloaded") == i })
	}
	done.Store(true)
	clients.Wait()

	rules := map[string]string{} // by generation
	for _, line := range strings.Split(strings.TrimSpace(a.recorded(t)), "\n") {
		var record struct{ Generation, Rule, Reason string }
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if seen, ok := rules[record.Generation]; ok && seen != record.Rule || record.Reason != "rule_allowed" {
			t.Fatalf("generation %s: rule %s, and %s: %s", record.Generation, seen, record.Rule, record.Reason)
		}
		rules[record.Generation] = record.Rule
	}
	if len(rules) < reloads/2 {
		t.Errorf("only %d generations answered", len(rules))
	}
}
