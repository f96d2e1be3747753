package initial_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/cases"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/initial"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/lint"
	"github.com/meshpass/meshpass/shared/identity"
)

var domains = identity.TrustDomains{Local: "cluster.local"}

// The written files pass the other commands with their strictest flags.
func TestWhatIsWrittenPasses(t *testing.T) {
	for _, row := range []struct {
		callee  string
		callers []string
		name    string
	}{
		{"ns/shop/sa/orders", nil, "orders"},
		{"ns/shop/sa/orders", []string{"ns/edge/sa/tyk-gateway"}, "orders"},
		{"ns/shop/sa/orders", []string{"ns/edge/sa/tyk-gateway", "ns/default/sa/default", "spiffe://partner.example/batch"}, "orders"},
		{"service/shop/orders", []string{"ns/edge/sa/tyk-gateway"}, "orders"},
		{"gateway/ingress", nil, "ingress"},
		{"edge/orders", nil, "orders"},
		{"spiffe://other.example/team/Orders_v2", nil, "orders-v2"},
	} {
		dir := filepath.Join(t.TempDir(), "new", "policies")
		report, err := initial.WriteFiles(initial.Options{Dir: dir, Callee: row.callee, Callers: row.callers, Domains: domains})
		if err != nil {
			t.Fatalf("%s: %v", row.callee, err)
		}
		if report.Policy != row.name || strings.Join(report.Wrote, " ") != filepath.Join(dir, row.name+".yaml")+" "+filepath.Join(dir, row.name+"_test.yaml") {
			t.Errorf("%s: got %+v", row.callee, report)
		}
		source := policycli.DocumentSource{Sources: []string{dir}, Domains: domains}
		linted, err := lint.Run(source, nil)
		if err != nil || !linted.Passes(true) || linted.Documents != 1 {
			t.Errorf("%s: lint: %v, %+v", row.callee, err, linted)
		}
		tested, err := cases.Run(source, cases.Options{MinCoverage: 100})
		if err != nil || !tested.Passed() || len(tested.Cases) < 5 {
			t.Errorf("%s: test: %v, %+v", row.callee, err, tested)
		}
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	for _, name := range []string{"orders.yaml", "orders_test.yaml"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := initial.WriteFiles(initial.Options{Dir: dir, Callee: "ns/shop/sa/orders", Domains: domains})
		if !errors.Is(err, initial.ErrExists) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		files, _ := os.ReadDir(dir)
		if data, _ := os.ReadFile(filepath.Join(dir, name)); string(data) != "mine" || len(files) != 1 {
			t.Errorf("%s: got %s, %v", name, data, files)
		}
	}
}

func TestWorkloadsThatAreRejected(t *testing.T) {
	for want, o := range map[string]initial.Options{
		"name the callee: --callee":                  {},
		`--callee "ns/shop/sa/*": want one workload`: {Callee: "ns/shop/sa/*"},
		`--callee "orders": want ns/NAMESPACE/sa`:    {Callee: "orders"},
		`--caller "gateway": want ns/NAMESPACE/sa`:   {Callee: "ns/a/sa/b", Callers: []string{"gateway"}},
		`--caller "ns/*/sa/b": want one workload`:    {Callee: "ns/a/sa/b", Callers: []string{"ns/*/sa/b"}},
		"--caller: at the edge no caller has a name": {Callee: "edge/orders", Callers: []string{"ns/a/sa/b"}},
	} {
		o.Dir, o.Domains = filepath.Join(t.TempDir(), "policies"), domains
		if _, err := initial.WriteFiles(o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if _, err := os.Stat(o.Dir); err == nil {
			t.Errorf("%s: a folder was made", want)
		}
	}
}
