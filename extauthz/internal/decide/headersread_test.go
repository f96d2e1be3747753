package decide_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
)

// The answer and its record are the same if a Check has only the headers of HeadersRead and the reserved
// ones: a header that is read and not listed there would make a difference.
func TestHeadersRead(t *testing.T) {
	user, err := decide.NewIdentityHeader("x-meshpass-user", "sub")
	if err != nil {
		t.Fatal(err)
	}
	records := audittest.NewBuffer(t, audit.Options{Now: func() time.Time { return now }, Settings: audit.Settings{Anonymous: 1e6}})
	l := newListener(t, func(c *decide.Config) {
		c.IdentityHeaders, c.Audit = decide.IdentityHeaders{user}, records.Log
	})
	l.records = records
	reserved := regexp.MustCompile(`^(?:` + identity.ReservedHeaderPattern + `)$`)
	isSent := func(name string) bool {
		return slices.Contains(decide.HeadersRead(), name) || reserved.MatchString(name)
	}
	names := slices.Concat(decide.HeadersRead(), []string{
		"txn-token", "txn_token", "x-meshpass-user", "x.meshpass_role", "x!meshpass!user", "x-meshpass-", // Envoy's names are in lower case
		":method", ":scheme", "authorization", "cookie", "x-forwarded-for", "x-forwarded-host", "x-forwarded-client-cert", "x-envoy-original-path", "x-envoy-internal",
		"x-http-method-override", "tracestate", "b3", "baggage", "x-b3-traceid", "content-length", "te", "via", "x-a",
	})
	values := []string{"", "a", "orders.shop", "/tenants/acme/orders", "/admin", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", tokentest.ValidToken(t, now),
		"By=spiffe://cluster.local/ns/a/sa/b;URI=spiffe://cluster.local/ns/shop/sa/admin"}
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for range 300 {
		var sent []decide.Field
		for range random.IntN(8) {
			sent = append(sent, decide.Field{Name: names[random.IntN(len(names))], Value: values[random.IntN(len(values))]})
		}
		read := slices.DeleteFunc(slices.Clone(sent), func(f decide.Field) bool { return !isSent(f.Name) })
		ask := func(headers []decide.Field) (decide.Answer, map[string]any) {
			answer := l.Decide(t.Context(), newQuestion(t, "/tenants/acme/orders", headers...))
			answer.Metadata = slices.DeleteFunc(answer.Metadata, func(f decide.Field) bool { return f.Name == "decision_id" })
			record := l.takeRecord(t)
			delete(record, "id")
			return answer, record
		}
		all, allRecord := ask(sent)
		some, someRecord := ask(read)
		seen[string(all.Decision.Reason)]++
		if diff := cmp.Diff(all, some) + cmp.Diff(allRecord, someRecord); diff != "" {
			t.Fatalf("%q: with all headers (-) and with those that are read (+):\n%s", sent, diff)
		}
	}
	for _, want := range []string{"rule_allowed", "token_duplicated", "ambiguous_header", "ambiguous_path"} {
		if seen[want] == 0 {
			t.Errorf("no question was answered with %s: %v", want, seen)
		}
	}
	if strings.Join(decide.HeadersRead(), " ") != ":authority :path host traceparent x-request-id" {
		t.Errorf("the headers are %q: change docs/envoy.md too", decide.HeadersRead())
	}
}
