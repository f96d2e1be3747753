package policy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/lint"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// manyRules is a document with n rules. They differ in the field, where %d is replaced by
// the number of the rule.
func manyRules(n int, field string) string {
	var b strings.Builder
	b.WriteString(head + "  rules:\n")
	for i := 0; i < n; i++ {
		fmt.Fprintf(&b, "    - {name: r%d, effect: allow, %s}\n", i, strings.ReplaceAll(field, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

// manyDocuments are n documents with five rules each, for the target.
func manyDocuments(n int, target string) []string {
	texts := make([]string, n)
	for i := range texts {
		numbered := strings.NewReplacer("name: p", fmt.Sprintf("name: p%d", i), "ns/shop/sa/orders", strings.ReplaceAll(target, "%d", fmt.Sprint(i)), "name: r", fmt.Sprintf("name: r%d-", i))
		texts[i] = numbered.Replace(manyRules(5, fmt.Sprintf(`to: {methods: [GET], paths: ["/api/v%d/x%%d/{id}"]}, when: claims.tctx.tenant == path.id`, i)))
	}
	return texts
}

// BenchmarkAtSize compares a large set with a small one of the same kind, in one
// run: "ratio" is how much longer the decision takes.
func BenchmarkAtSize(b *testing.B) {
	const tenant = "when: claims.tctx.tenant == path.id"
	rules := func(field string) func(n int) []string {
		return func(n int) []string { return []string{manyRules(n, field)} }
	}
	documents := func(target string) func(n int) []string {
		return func(n int) []string { return manyDocuments(n, target) }
	}
	for _, row := range []struct {
		name  string
		large int
		texts func(n int) []string
		r     policy.Request
	}{
		{"rules-by-path", 10_000, rules(`to: {methods: [GET], paths: ["/x%d/{id}/**"]}, ` + tenant), request(path("/x7/acme/1"))},
		{"rules-by-capture-first", 10_000, rules(`to: {methods: [GET], paths: ["/{id}/x%d"]}, ` + tenant), request(path("/acme/x7"))},
		{"rules-by-caller", 10_000, rules(`from: {workloads: [ns/c%d/sa/web]}, to: {paths: ["/{id}"]}, ` + tenant), request(path("/acme"), caller("ns/c7/sa/web"))},
		{"rules-by-namespace", 10_000, rules(`from: {workloads: [ns/c%d/sa/*]}, to: {paths: ["/{id}"]}, ` + tenant), request(path("/acme"), caller("ns/c7/sa/web"))},
		{"rules-by-host", 10_000, rules(`to: {hosts: [h%d.example], paths: ["/{id}"]}, ` + tenant), request(path("/acme"), func(r *policy.Request) { r.Host = "h7.example:80" })},
		{"rules-by-claim", 10_000, rules(`from: {workloads: [ns/edge/sa/tyk-gateway]}, to: {paths: ["/{id}"]}, claims: {tctx.tenant: [x%d, acme-%d, t%d]}`), request(path("/acme"))},
		{"rules-by-scope", 10_000, rules(`to: {paths: ["/{id}"]}, scopes: [orders.x%d]`), request(path("/acme"))},
		{"documents-by-workload", 2_000, documents("ns/shop/sa/w%d"), request(path("/api/v7/x3/acme"), callee("ns/shop/sa/w7"))},
		{"documents-by-namespace", 2_000, documents("ns/n%d/sa/*"), request(path("/api/v7/x3/acme"), callee("ns/n7/sa/web"))},
		{"documents-for-one-workload", 2_000, documents("ns/shop/sa/orders"), request(path("/api/v7/x3/acme"))},
		{"documents-for-all", 2_000, documents("ns/*/sa/*"), request(path("/api/v7/x3/acme"))},
	} {
		b.Run(row.name, func(b *testing.B) {
			small, large := load(b, row.texts(10)...), load(b, row.texts(row.large)...)
			claims, _ := alice(map[string]any{"tenant": "acme-7"})()
			if !strings.Contains(row.name, "claim") {
				claims, _ = alice(nil)()
			}
			claims.Scope = "openid orders.x7"
			auth := verified(claims)
			decide := func(set *policy.Set, times int) time.Duration {
				start := time.Now()
				for range times {
					if d := set.Decide(row.r, auth); !d.Allowed() {
						b.Fatal(describe(d))
					}
				}
				return time.Since(start)
			}
			b.ResetTimer()
			ratio, best := bestOf(b.N, func(n int) time.Duration { return decide(small, n) }, func(n int) time.Duration { return decide(large, n) })
			b.ReportMetric(ratio, "ratio")
			b.ReportMetric(float64(best.Nanoseconds()), "ns/decision")
		})
	}
}

// bestOf calls first and second in turns, so that both meet the same disturbances. It
// compares the best turn of each, and gives the time of one call of second.
func bestOf(n int, first, second func(n int) time.Duration) (ratio float64, each time.Duration) {
	const turns = 50
	size := n/turns + 1
	bestFirst, bestSecond := time.Hour, time.Hour
	for range turns {
		bestFirst, bestSecond = min(bestFirst, first(size)), min(bestSecond, second(size))
	}
	return float64(bestSecond) / float64(bestFirst), bestSecond / time.Duration(size)
}

// BenchmarkLoad compiles 5,000 or 10,000 rules, each with an expression of its own.
func BenchmarkLoad(b *testing.B) {
	one := files(manyRules(5_000, `to: {methods: [GET], paths: ["/x%d/{id}/**"]}, scopes: [orders.read], when: 'claims.tctx.tenant == path.id && claims.tctx.level > %d'`))
	many := files(manyDocuments(2_000, "ns/shop/sa/w%d")...)
	for name, dir := range map[string]source.Dir{"one-document": one, "2000-documents": many} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if _, err := (source.Loader{Domains: identity.TrustDomains{Local: "cluster.local"}}).Load(dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecide compares a decision by one document with one bare ES256 verification:
// "ratio" is the fastest turn of the first divided by the fastest one of the second.
func BenchmarkDecide(b *testing.B) {
	set, r := load(b, orders, public), request()
	claims, _ := alice(nil)()
	auth := verified(claims)
	bare := newBareVerification(b)
	for name, r := range map[string]policy.Request{"rule": r, "public": request(path("/healthz")), "denied": request(path("/tenants/globex/orders/1"))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				set.Decide(r, auth)
			}
			b.StopTimer()
			const turns, size = 300, 20
			ours, theirs := time.Hour, time.Hour
			for range turns {
				start := time.Now()
				for range size {
					set.Decide(r, auth)
				}
				ours, start = min(ours, time.Since(start)), time.Now()
				bare()
				theirs = min(theirs, time.Since(start))
			}
			b.ReportMetric(ours.Seconds()/size/theirs.Seconds(), "ratio")
			b.ReportMetric(float64(ours.Nanoseconds())/size, "ns/decision")
		})
	}
}

// newBareVerification gives one ES256 verification by the standard library.
func newBareVerification(b *testing.B) func() {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	input := make([]byte, 700)
	digest := sha256.Sum256(input)
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		digest := sha256.Sum256(input)
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signature) {
			b.Fatal("a valid signature is rejected")
		}
	}
}

// BenchmarkLint lints allow and deny rules that differ in one key of the index that finds
// the rules that cover another one.
func BenchmarkLint(b *testing.B) {
	for name, field := range map[string]string{
		"paths":   `to: {methods: [GET, HEAD], paths: ["/x%d", "/y/{id}/**"]}`,
		"callers": `from: {workloads: ["ns/a/sa/w%d"]}, to: {methods: [GET]}`,
		"scopes":  `scopes: ["s%d"], to: {paths: ["/x/{id}"]}`,
	} {
		allow := manyRules(2_000, field)
		deny := strings.NewReplacer("name: p", "name: q", "effect: allow", "effect: deny").Replace(allow)
		dir := files(allow, deny)
		b.Run(name, func(b *testing.B) {
			for range b.N {
				lint.Run(source.Loader{}, dir)
			}
		})
	}
}
