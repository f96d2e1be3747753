package suggest_test

import (
	"testing"

	"github.com/meshpass/meshpass/internal/suggest"
)

func TestNearest(t *testing.T) {
	keys := []string{"rules", "public", "targets", "scopes", "paths"}
	for _, row := range []struct{ name, want string }{
		{"rule", "rules"}, {"path", "paths"}, {"scopess", "scopes"}, {"Targets", "targets"}, {"tragets", "targets"},
		{"rules", ""}, // a known name is no mistake
		{"x", ""}, {"", ""}, {"completely", ""}, {"tar", ""},
	} {
		known := keys
		if row.name == "rules" {
			known = []string{"rules"}
		}
		if got := suggest.Nearest(row.name, known); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
	if got := suggest.DidYouMean("scopess", keys); got != ` (did you mean "scopes"?)` {
		t.Errorf("got %q", got)
	}
	if got := suggest.DidYouMean("nothing", keys); got != "" {
		t.Errorf("got %q", got)
	}
}
