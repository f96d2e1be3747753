package explain

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/replay"
	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// RequestFlags is a request as flags give it; what is empty is not given.
type RequestFlags struct {
	Caller, Callee, Method, Path, Host string
	Port                               uint
	Headers                            map[string]string // lower-case names
	Claims                             string            // JSON
	NoToken                            string            // a reason
	Now                                time.Time
	Targets, Callers                   []string // that documents name, for errors
}

// Verify gives the claims of a token that holds, or why it does not.
type Verify func(raw string) policy.Authentication

// ErrNoCallee says that nobody is called.
var ErrNoCallee = errors.New("say who is called: --callee, --check or --record")

// BuildQuery is the question that the flags alone make.
func (a RequestFlags) BuildQuery(domains identity.TrustDomains, now time.Time) (Query, error) {
	if a.Callee == "" {
		return Query{}, withKnownNames(ErrNoCallee, "", "targets", a.Targets)
	}
	q := Query{NoToken: decision.TokenMissing}
	q.Method, q.Path, q.Now, q.Headers = "GET", "/", now, map[string]string{}
	return q, a.applyTo(&q, domains)
}

// QueryFromCheck is the question of a CheckRequest, with what the flags change of it.
// Without verify the token's claims are taken as they are.
func (a RequestFlags) QueryFromCheck(data []byte, domains identity.TrustDomains, verify Verify, now time.Time) (Query, error) {
	sides := decide.Peers{Caller: decide.CallerByPrincipal(domains), Callee: decide.CalleeByPrincipal(domains)}
	seen, err := check.ReadJSON(data, sides, now)
	if err != nil {
		return Query{}, err
	}
	raw, missing := seen.Token()
	q := Query{Request: seen.Request, NoToken: missing}
	if seen.Deny != "" && (seen.Deny != decision.NoCallee || a.Callee == "") {
		q.EarlyAnswer = decision.Deny(seen.Deny).String() + " " + string(seen.Deny)
	}
	if raw != "" {
		if err := q.setToken(raw, verify); err != nil {
			return Query{}, err
		}
	}
	return q, a.applyTo(&q, domains)
}

func (q *Query) setToken(raw string, verify Verify) (err error) {
	if verify != nil {
		known := verify(raw)
		q.Claims, q.NoToken, q.Outage = known.Claims, known.Refusal, known.Outage
		if q.Claims != nil {
			q.ClaimsSource = "verified"
		}
		return nil
	}
	seen, err := tokentools.Inspect(raw, q.Now)
	if err != nil {
		q.NoToken = decision.TokenFormat
		return nil
	}
	q.ClaimsSource = "NOT VERIFIED: as the token says of itself; --config verifies it"
	q.Claims, err = policycli.ParseClaims(seen.Claims)
	return err
}

// applyTo puts what the flags say in the place of what the request says.
func (a RequestFlags) applyTo(q *Query, domains identity.TrustDomains) error {
	for into, text := range map[*string]string{&q.Method: a.Method, &q.Path: a.Path, &q.Host: a.Host} {
		if text != "" {
			*into = text
		}
	}
	q.Path, _, _ = strings.Cut(q.Path, "?")
	switch {
	case a.Port > math.MaxUint16:
		return fmt.Errorf("--port %d: want at most %d", a.Port, math.MaxUint16)
	case a.Port != 0:
		q.Port = uint32(a.Port)
	}
	for name, value := range a.Headers {
		q.Headers[name] = value
	}
	if !a.Now.IsZero() {
		q.Now = a.Now
	}
	return errors.Join(a.applyPeers(q, domains), a.applyToken(q))
}

func (a RequestFlags) applyPeers(q *Query, domains identity.TrustDomains) error {
	switch a.Caller {
	case "":
	case "none":
		q.Caller, q.NoCaller = "", true
	default:
		named, err := domains.ParsePattern(a.Caller)
		if err != nil || named.Literal() == "" {
			return withKnownNames(fmt.Errorf("--caller %q: want one workload, ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, or none", a.Caller), a.Caller, "callers of rules", a.Callers)
		}
		q.Caller, q.NoCaller = named.Literal(), false
	}
	if a.Callee == "" {
		return nil
	}
	named, err := domains.ParseTarget(a.Callee)
	if err != nil || named.Literal() == "" {
		return withKnownNames(fmt.Errorf("--callee %q: want one of those that documents target, without *", a.Callee), a.Callee, "targets", a.Targets)
	}
	q.Callee = named.Literal()
	if q.Callee.IsEdge() && a.Caller == "" {
		q.Caller, q.NoCaller = "", true
	}
	return nil
}

// withKnownNames adds to an error the names that documents have, and which one a mistaken
// name may mean.
func withKnownNames(err error, mistaken, what string, known []string) error {
	if len(known) == 0 {
		return err
	}
	return fmt.Errorf("%w%s; %s are %s", err, suggest.DidYouMean(mistaken, known), what, policycli.JoinNames(known))
}

func (a RequestFlags) applyToken(q *Query) (err error) {
	switch reason := decision.Reason(a.NoToken); {
	case a.NoToken != "" && a.Claims != "":
		return errors.New("--claims and --no-token: a token verifies or it does not")
	case a.Claims != "":
		q.ClaimsSource = "as --claims says"
		q.Claims, err = policycli.ParseClaims([]byte(a.Claims))
	case a.NoToken == "":
	case !slices.Contains(decision.Reasons(), reason) || reason.Class() == decision.Allowed:
		err = fmt.Errorf("--no-token %q: want the reason why it is refused, such as %s or %s", a.NoToken, decision.TokenMissing, decision.TokenExpired)
	default:
		q.Claims, q.NoToken, q.Outage, q.ClaimsSource = nil, reason, reason.CanBeOutage(), ""
	}
	return err
}

// ErrNoRecord says that there is nothing to explain.
var ErrNoRecord = errors.New("no audit record with this id")

// maxRecords is more than one request leaves behind.
const maxRecords = 20

// QueriesFromRecords are the questions of all records with an id.
func QueriesFromRecords(records io.Reader, id string, set *policy.Set) ([]Query, error) {
	found, err := replay.Find(records, id)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNoRecord
	case len(found) > maxRecords:
		return nil, fmt.Errorf("%d records: choose with --id, the id of a record, a request or a transaction", len(found))
	}
	all := make([]Query, len(found))
	for i, r := range found {
		all[i] = queryOfRecord(r.Recall(set))
	}
	return all, nil
}

func queryOfRecord(r replay.Recall) Query {
	q := Query{Request: r.Request, Claims: r.Claims, NoToken: r.Token, Outage: r.Outage, Notes: r.Notes}
	if q.Claims != nil {
		q.ClaimsSource = "as recorded at " + r.Time.UTC().Format(time.RFC3339)
	}
	if !r.Documents {
		q.EarlyAnswer = r.Decision + " " + r.Reason
	}
	return q
}
