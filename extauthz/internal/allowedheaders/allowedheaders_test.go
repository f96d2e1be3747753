package allowedheaders_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/allowedheaders"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
)

func write(t *testing.T, headers ...string) string {
	t.Helper()
	text, err := allowedheaders.Write(allowedheaders.Settings{Namespace: "istio-system", Headers: headers})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is written is read, with the headers that every decision needs.
func TestWriteAndParse(t *testing.T) {
	got, err := allowedheaders.Parse([]byte(write(t, "x-b", "x-a", "x-b")))
	if want := append(decide.HeadersRead(), "x-a", "x-b"); err != nil || !slices.Equal(got, allowedheaders.ListNames(want)) {
		t.Errorf("got %q, %v", got, err)
	}
	selected := strings.Replace(write(t), "spec:\n", "spec:\n  workloadSelector:\n    labels: {app: orders}\n  priority: 5\n", 1)
	if got, err = allowedheaders.Parse([]byte(selected)); err != nil || !slices.Equal(got, decide.HeadersRead()) {
		t.Errorf("with a selector: got %q, %v", got, err)
	}
}

// A file that would hide what a decision needs is rejected, and so is one that is not understood.
func TestParseErrors(t *testing.T) {
	const place = "29:17: "
	for _, row := range []struct{ old, new, want string }{
		{"safe_regex:\n                    regex: txn[^a-z0-9]token|x[^a-z0-9]meshpass[^a-z0-9].*", "exact: x-b", place + "without safe_regex: {regex: 'txn[^a-z0-9]token|x[^a-z0-9]meshpass[^a-z0-9].*'} forged headers would reach workloads"},
		{"txn[^a-z0-9]token", "txn-token", place + "want exact: NAME, and once safe_regex with"},
		{"- exact: traceparent\n", "- exact: x-b\n", place + "every decision needs traceparent too"},
		{"- exact: host\n", "- prefix: ho\n", `unknown key "prefix"`},
		{"- exact: host\n", "- exact: host\n                  ignore_case: true\n", `unknown key "ignore_case"`},
		{"kind: EnvoyFilter", "kind: Sidecar", "want the EnvoyFilter of meshpass istio headers"},
		{"v3.ExtAuthz", "v3.RBAC", "want the EnvoyFilter of meshpass istio headers"},
		{"configPatches:\n", "configPatches:\n    - {applyTo: HTTP_FILTER}\n", "with one patch"},
		{"spec:", "spac:", `unknown key "spac"`},
	} {
		before := write(t, "x-a")
		after := strings.Replace(before, row.old, row.new, 1)
		if after == before {
			t.Fatalf("%q is not in the file", row.old)
		}
		if names, err := allowedheaders.Parse([]byte(after)); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: got %q, %v; want %s", row.new, names, err, row.want)
		}
	}
	for _, text := range []string{"", "a\n---\nb\n", "- x\n", "kind: EnvoyFilter\n"} {
		if names, err := allowedheaders.Parse([]byte(text)); err == nil {
			t.Errorf("%q: got %q", text, names)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"x-a", "x_a", "x.a~!"} {
		if err := allowedheaders.CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for name, want := range map[string]string{"": "want the name", "X-A": "in lower case", "a b": "want the name", ":path": "want the name", "x-ä": "want the name", "x_meshpass.a": "is always sent", "txn-token": "is always sent"} {
		if err := allowedheaders.CheckName(name); err == nil || !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("%q: got %v, want %s", name, err, want)
		}
	}
}
