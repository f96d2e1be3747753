package fidelity_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/identity"
)

// TestAllowedHeaders shows what changes with the EnvoyFilter of `meshpass istio headers`, which Istio's control
// plane applies: the headers of a Check, and nothing else.
func TestAllowedHeaders(t *testing.T) {
	filter := allowedHeadersFilter(t)
	t.Run("a Check", func(t *testing.T) {
		r := newRig(t, withObject(filter))
		e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
		e.testAllowedHeaders(t)
	})
	h := newHopOn(t, newRig(t, withObject(filter)), "envoy: {allowedHeaders: allowed-headers.yaml}\n", file{"allowed-headers.yaml", filter})
	for _, topic := range []struct {
		name string
		test func(*testing.T)
	}{
		{"dodges", h.testDodges},
		{"token forms", h.testTokenForms},
		{"removal", h.testRemoval},
		{"separators", h.testSeparators},
		{"refusals", h.testRefusals},
		{"random headers", func(t *testing.T) { testRandomHeaders(t, newHop(t), h) }},
	} {
		t.Run(topic.name, topic.test)
	}
}

// allowedHeadersFilter is what the command prints for the policies of the tests.
func allowedHeadersFilter(t *testing.T) []byte {
	t.Helper()
	meshpass, err := repo.Bin("meshpass", "bin/meshpass")
	must(t, err)
	text, err := exec.CommandContext(t.Context(), meshpass, "istio", "headers", "testdata/policies").Output()
	must(t, err)
	return text
}

// withObject is the live control plane on our manifests, the local mesh's cluster and one more object.
func withObject(object []byte) controlPlane {
	return func(t testing.TB, r *rig) {
		t.Helper()
		objects, istio, more := t.TempDir(), t.TempDir(), t.TempDir()
		must(t, r.net.CopyDir(objects, cluster.Files))
		must(t, r.net.CopyDir(istio, os.DirFS(manifestsOfIstio(t))))
		must(t, os.WriteFile(filepath.Join(more, "object.yaml"), object, 0o600))
		serveIstiod(t, r, istio, filepath.Join(manifestsOfIstio(t), "strict"), objects, more)
	}
}

// testAllowedHeaders: a Check has the headers that are read, and those that only Meshpass may write in every
// spelling. All headers arrive, because this authorizer removes none.
func (e *alone) testAllowedHeaders(t *testing.T) {
	reserved := []string{"txn-token", "txn_token", "txn.token", "x-meshpass-user", "x_meshpass_user", "x~meshpass!user", "x-meshpass-"}
	others := []string{"authorization", "cookie", "user-agent", "x-forwarded-for", "x-envoy-original-path", "x-regions", "x-meshpas-user", "txn-tokens", "tracestate"}
	read := []string{"x-region", "x-request-id", "traceparent"}
	var sent []string
	for _, name := range slices.Concat(reserved, others, read) {
		sent = append(sent, name+": "+name)
	}
	asked, arrived := e.try(t, request("/h?q", sent...)).passed(t)
	want := slices.Sorted(slices.Values(slices.Concat(reserved, read, []string{":authority", ":path"})))
	equalLists(t, "names in the Check", slices.Sorted(maps.Keys(asked.GetHeaders())), want)
	equal(t, "path", asked.GetHeaders()[":path"], "/h?q")
	equal(t, "host", asked.GetHeaders()[":authority"], ordersHost)
	equal(t, "method", asked.GetMethod(), "GET")
	for _, name := range slices.Concat(reserved, others, read) {
		equalLists(t, "arrived: "+name, arrived.values(name), []string{name})
	}
}

// testRandomHeaders sends the same requests over two Envoys, one of which sends all headers to its authorizer: they
// are decided alike and arrive alike, and no header that only Meshpass may write arrives but a verified token.
func testRandomHeaders(t *testing.T, all, some *hop) {
	token := tokentest.ValidToken(t, time.Now())
	names := []string{
		"txn-token", "txn-token", "txn_token", "txn.token", "TXN-TOKEN", "x-meshpass-sub", "X_Meshpass_Sub", "x.meshpass~sub", "x!meshpass-sub", "x-meshpass-",
		"x-region", "X-Region", "x_region", "authorization", "cookie", "x-forwarded-for", "x-forwarded-client-cert", "x-envoy-original-path", "via",
		"x-http-method-override", "traceparent", "connection", "x-a",
	}
	values := []string{token, token, "there", "here", "a", "", "root", "ä", "\xff", "/admin", "txn-token", "x-region", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	paths := []string{"/region", "/region", "/healthz", "/claims", "/admin", "/x"}
	random := rand.New(rand.NewPCG(16, 4))
	reasons := map[string]int{}
	for range 400 {
		path := pick(random, paths)
		var fields []string
		for range random.IntN(8) {
			fields = append(fields, pick(random, names)+": "+pick(random, values))
		}
		wanted, got := all.try(t, request(path, fields...)), some.try(t, request(path, fields...))
		if diff := cmp.Diff(comparableParts(wanted), comparableParts(got)); diff != "" {
			t.Fatalf("%s %q: with all headers (-) and with those that are read (+):\n%s", path, fields, diff)
		}
		for _, r := range got.records {
			reasons[r.Reason]++
		}
		for _, a := range got.arrived {
			for _, field := range a.fields {
				name, value, _ := strings.Cut(field, ": ")
				if identity.IsReservedHeader(name) && (!strings.EqualFold(name, identity.Header) || value != token) {
					t.Errorf("%s %q: %q arrived", path, fields, field)
				}
			}
		}
	}
	for _, reason := range []string{"rule_allowed", "rule_denied", "public", "ambiguous_header", "token_duplicated", "token_format"} {
		if reasons[reason] == 0 {
			t.Errorf("no request was decided with %s: %v", reason, reasons)
		}
	}
}

// comparableParts is the part of an outcome that does not depend on the rig or on the time.
func comparableParts(o outcome) (all []string) {
	for _, r := range o.records {
		all = append(all, strings.Join([]string{r.Decision, r.Reason, r.Policy, r.Rule, r.Method, r.Path, r.Host, r.Txn, r.Sub}, " "))
	}
	for _, a := range o.arrived {
		all = append(all, a.line)
		for _, field := range a.fields {
			name, _, _ := strings.Cut(strings.ToLower(field), ":")
			if name != "x-request-id" && name != "x-forwarded-client-cert" {
				all = append(all, field)
			}
		}
	}
	return all
}
