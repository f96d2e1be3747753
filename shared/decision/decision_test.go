package decision_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
)

func TestTheZeroDecisionDenies(t *testing.T) {
	for name, d := range map[string]decision.Decision{
		"zero":               {},
		"unknown reason":     decision.Allow("because").By("p", "r"),
		"allow with a deny":  decision.Allow(decision.NoRule).By("p", "r"),
		"deny with an allow": decision.Deny(decision.RuleAllowed).By("p", "r"),
		"deny":               decision.Deny(decision.NoRule),
	} {
		if d.Allowed() || d.String() != "deny" {
			t.Errorf("%s: allows", name)
		}
	}
	if d := decision.Allow(decision.RuleAllowed).By("p", "r"); !d.Allowed() || d.String() != "allow" {
		t.Error("allow denies")
	}
}

// A reason that a requester, a partner or our own load can cause is never an outage.
func TestOutagesAreAClosedList(t *testing.T) {
	var outages []decision.Reason
	for _, r := range append(decision.Reasons(), "", "invented") {
		if r.CanBeOutage() {
			outages = append(outages, r)
		}
	}
	if want := []decision.Reason{decision.KeysUnavailable, decision.RevocationStale}; !slices.Equal(outages, want) {
		t.Errorf("got %v, want %v", outages, want)
	}
}

// Every constant is in the list, once: a reason without a class would be a denial
// without a metric label.
func TestTheListIsClosed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var constants []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Type == nil || spec.Type.(*ast.Ident).Name != "Reason" {
			return true
		}
		for _, value := range spec.Values {
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			constants = append(constants, text)
		}
		return true
	})
	slices.Sort(constants)
	var listed []string
	for _, r := range decision.Reasons() {
		listed = append(listed, string(r))
	}
	if !slices.Equal(constants, listed) {
		t.Errorf("constants %v\nlisted %v", constants, listed)
	}
}

func TestStatus(t *testing.T) {
	for reason, want := range map[decision.Reason]int{
		decision.NoRule: 403, decision.ClientRefused: 403, decision.TokenMissing: 401, decision.NoSigningKey: 503, decision.Panic: 500, "unknown": 403,
	} {
		if got := reason.Class().Status(); got != want {
			t.Errorf("%s: got %d, want %d", reason, got, want)
		}
	}
}
