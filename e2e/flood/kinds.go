package flood

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// kind is a kind of input in endless variations.
type kind struct {
	name     string
	setup    setup
	newCheck func(a *authorizer, n int64) (*auth.CheckRequest, error) // different for each n; nil: no Checks
	connect  []badConnection                                          // without Checks: how connections fail
	want     []string                                                 // outcomes that must be seen
	caches   bool                                                     // it fills the cache of verified tokens
	series   int                                                      // metric series that it may add
}

// pairSeries are the series of pairs of workloads: 1000, and one for all others (extauthz/internal/ops).
const pairSeries = 1001

// denialSeries are those of the rig's document, by reason.
const denialSeries = 2

// kinds are all kinds. Half of the Checks about callers, callees and hosts have no token: the requests that are
// denied for it are counted by workload.
var kinds = []kind{
	{name: "tokens", newCheck: checkNewToken, want: []string{"allow"}, caches: true},
	{name: "claims", newCheck: checkLargeToken, want: []string{"allow"}, caches: true},
	{name: "kids", setup: setup{keysByURL: true}, newCheck: checkNewKeyID, want: []string{"403 kid_unknown"}, series: denialSeries},
	{name: "paths", newCheck: checkNewPath, want: []string{"allow", "403 no_rule"}, series: denialSeries},
	{name: "callers", setup: setup{caller: "xfcc"}, newCheck: checkNewCaller, want: []string{"403 no_rule", "403 token_missing"}, series: pairSeries + denialSeries},
	{name: "callees", newCheck: checkNewCallee, want: []string{"403 unguarded"}, series: denialSeries},
	{name: "hosts", newCheck: checkNewHost, want: []string{"allow", "403 token_missing"}, series: 1 + denialSeries},
	{name: "handshakes", connect: badConnections, want: []string{"garbage: closed", "half-open: closed", "wrong authority: rejected", "slow: closed", "allow"}},
}

// KindNames returns the names of all kinds.
func KindNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

func findKinds(names []string) (found []kind, err error) {
	if len(names) == 0 {
		return kinds, nil
	}
	for _, name := range names {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no kind %q; the kinds are %s", name, strings.Join(KindNames(), ", "))
		}
		found = append(found, kinds[i])
	}
	return found, nil
}

// flood sends until ctx ends, and closes all its connections.
func (k kind) flood(ctx context.Context, f *flood) error {
	if k.newCheck == nil {
		return f.openBadConnections(ctx)
	}
	return f.sendChecks(ctx)
}

// checkConnections are the connections of the senders of Checks: as many as a few Envoys have.
const checkConnections = 4

// sendChecks sends from all senders.
func (f *flood) sendChecks(ctx context.Context) error {
	var (
		all  sync.WaitGroup
		errs = make([]error, checkConnections)
	)
	for i := range checkConnections {
		all.Go(func() { errs[i] = f.sendOnConnection(ctx, (f.senders+checkConnections-1)/checkConnections) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (f *flood) sendOnConnection(ctx context.Context, senders int) error {
	conn, err := f.authorizer.connect()
	if err != nil {
		return err
	}
	var (
		all  sync.WaitGroup
		errs = make([]error, senders)
	)
	for i := range senders {
		all.Go(func() {
			for errs[i] == nil && f.pace.Wait(ctx) {
				var check *auth.CheckRequest
				if check, errs[i] = f.kind.newCheck(f.authorizer, f.next.take()); errs[i] == nil {
					f.tally.count(ask(context.WithoutCancel(ctx), conn, check)) // a Check that was sent gets its answer
				}
			}
		})
	}
	all.Wait()
	return errors.Join(append(errs, conn.Close())...)
}

// unique is a name that no other n has, and that compresses badly.
func unique(n int64) string {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// lowercase is a unique name of lower-case letters and digits.
func lowercase(n int64) string { return fmt.Sprintf("w%x", sha256.Sum256(fmt.Append(nil, n)))[:40] }

func checkNewToken(a *authorizer, n int64) (*auth.CheckRequest, error) {
	raw, err := a.newToken(unique(n), nil)
	return checks.New(raw), err
}

// largeClaim is as much text as a token has room for beside its other claims.
var largeClaim = strings.Repeat("group-of-users,", 340)

func checkLargeToken(a *authorizer, n int64) (*auth.CheckRequest, error) {
	raw, err := a.newToken(unique(n), map[string]any{"large": unique(n) + largeClaim})
	return checks.New(raw), err
}

func checkNewKeyID(a *authorizer, n int64) (*auth.CheckRequest, error) {
	valid, err := a.validToken()
	if err != nil {
		return nil, err
	}
	raw, err := scenarios.RenameKey(valid, unique(n))
	return checks.New(raw), err
}

// newCheck returns a Check with a valid token, or with none for odd n.
func newCheck(a *authorizer, n int64) (*auth.CheckRequest, error) {
	check := checks.New("")
	delete(check.Attributes.Request.Http.Headers, "txn-token")
	if n%2 != 0 {
		return check, nil
	}
	valid, err := a.validToken()
	check.Attributes.Request.Http.Headers["txn-token"] = valid
	return check, err
}

// checkNewPath has a valid token; a rule matches every second path.
func checkNewPath(a *authorizer, n int64) (*auth.CheckRequest, error) {
	valid, err := a.validToken()
	check := checks.New(valid)
	check.Attributes.Request.Http.Path = "/tenants/acme/orders/" + unique(n)
	if n%2 != 0 {
		check.Attributes.Request.Http.Path = "/" + unique(n) + "?" + unique(-n)
	}
	return check, err
}

func checkNewCaller(a *authorizer, n int64) (*auth.CheckRequest, error) {
	check, err := newCheck(a, n)
	name := fmt.Sprintf("spiffe://cluster.local/ns/%s/sa/%s", lowercase(n)[:20], lowercase(-n))
	check.Attributes.Request.Http.Headers["x-forwarded-client-cert"] = "By=" + checks.Orders + ";Hash=" + unique(n) + ";URI=" + name
	return check, err
}

func checkNewCallee(a *authorizer, n int64) (*auth.CheckRequest, error) {
	check, err := newCheck(a, n)
	check.Attributes.Destination.Principal = fmt.Sprintf("spiffe://cluster.local/ns/%s/sa/%s", lowercase(n)[:20], lowercase(-n))
	return check, err
}

func checkNewHost(a *authorizer, n int64) (*auth.CheckRequest, error) {
	check, err := newCheck(a, n)
	check.Attributes.Request.Http.Host = unique(n) + ".example.com"
	return check, err
}
