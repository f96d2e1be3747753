package explain

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/replay"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// RequestFlags are the flags of the command that describe a request. An empty field is a
// flag that was not given.
type RequestFlags struct {
	Caller, Callee, Method, Path, Host string
	Port                               uint
	Headers                            map[string]string // lower-case names
	Claims                             string            // JSON
	NoToken                            string            // a reason
	Now                                time.Time
	Targets, Callers                   []string // names in the documents, for errors
}

// ErrNoCallee is the error of flags that name neither a callee nor a source of requests.
var ErrNoCallee = errors.New("name the request: --callee, --check or --record")

// BuildQuery returns the query for the request that the flags alone describe.
func (f RequestFlags) BuildQuery(domains identity.TrustDomains, now time.Time) (Query, error) {
	if f.Callee == "" {
		return Query{}, withKnownNames(ErrNoCallee, "", "targets", f.Targets)
	}
	q := Query{Token: TokenState{NoToken: decision.TokenMissing}}
	q.Request = policy.Request{Method: "GET", Path: "/", Now: now, Headers: map[string]string{}}
	return q, f.applyTo(&q, domains)
}

// QueryFromCheck returns the query for a CheckRequest in JSON. The flags override what
// the CheckRequest contains; its token is read by readToken.
func (f RequestFlags) QueryFromCheck(data []byte, domains identity.TrustDomains, readToken TokenReader, now time.Time) (Query, error) {
	peers := decide.Peers{Caller: decide.CallerByPrincipal(domains), Callee: decide.CalleeByPrincipal(domains)}
	reading, err := check.ReadJSON(data, peers, now)
	if err != nil {
		return Query{}, err
	}
	raw, missing := reading.Token()
	q := Query{Request: reading.Request, Token: TokenState{NoToken: missing}}
	if reading.Deny != "" && (reading.Deny != decision.NoCallee || f.Callee == "") {
		q.EarlyAnswer = decision.Deny(reading.Deny).String() + " " + string(reading.Deny)
	}
	if raw != "" {
		if q.Token, err = readToken(raw); err != nil {
			return Query{}, err
		}
	}
	return q, f.applyTo(&q, domains)
}

// applyTo sets the fields of the query whose flags were given.
func (f RequestFlags) applyTo(q *Query, domains identity.TrustDomains) error {
	r := &q.Request
	setIfGiven(&r.Method, f.Method)
	setIfGiven(&r.Path, f.Path)
	setIfGiven(&r.Host, f.Host)
	r.Path, _, _ = strings.Cut(r.Path, "?")
	switch {
	case f.Port > math.MaxUint16:
		return fmt.Errorf("--port %d: want at most %d", f.Port, math.MaxUint16)
	case f.Port != 0:
		r.Port = uint32(f.Port)
	}
	maps.Copy(r.Headers, f.Headers)
	if !f.Now.IsZero() {
		r.Now = f.Now
	}
	return errors.Join(f.applyPeers(r, domains), f.applyToken(&q.Token))
}

func setIfGiven(field *string, flag string) {
	if flag != "" {
		*field = flag
	}
}

func (f RequestFlags) applyPeers(r *policy.Request, domains identity.TrustDomains) error {
	switch f.Caller {
	case "":
	case "none":
		r.Caller, r.NoCaller = "", true
	default:
		pattern, err := domains.ParsePattern(f.Caller)
		if err != nil || pattern.Literal() == "" {
			return withKnownNames(fmt.Errorf("--caller %q: want one workload, ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, or none", f.Caller), f.Caller, "callers of rules", f.Callers)
		}
		r.Caller, r.NoCaller = pattern.Literal(), false
	}
	if f.Callee == "" {
		return nil
	}
	pattern, err := domains.ParseTarget(f.Callee)
	if err != nil || pattern.Literal() == "" {
		return withKnownNames(fmt.Errorf("--callee %q: want one of those that documents target, without *", f.Callee), f.Callee, "targets", f.Targets)
	}
	r.Callee = pattern.Literal()
	if r.Callee.IsEdge() && f.Caller == "" {
		r.Caller, r.NoCaller = "", true
	}
	return nil
}

// withKnownNames adds to an error the names that documents have, and the one of them
// that a mistyped name may mean.
func withKnownNames(err error, mistyped, label string, known []string) error {
	if len(known) == 0 {
		return err
	}
	return fmt.Errorf("%w%s; %s are %s", err, suggest.DidYouMean(mistyped, known), label, policycli.JoinNames(known))
}

func (f RequestFlags) applyToken(t *TokenState) (err error) {
	switch reason := decision.Reason(f.NoToken); {
	case f.NoToken != "" && f.Claims != "":
		return errors.New("--claims and --no-token exclude each other: a token is valid or it is not")
	case f.Claims != "":
		t.Source = "as --claims says"
		t.Claims, err = policycli.ParseClaims([]byte(f.Claims))
	case f.NoToken == "":
	case !slices.Contains(decision.Reasons(), reason) || reason.Class() == decision.Allowed:
		err = fmt.Errorf("--no-token %q: want the reason why there are no claims, such as %s or %s", f.NoToken, decision.TokenMissing, decision.TokenExpired)
	default:
		*t = TokenState{NoToken: reason, Outage: reason.CanBeOutage()}
	}
	return err
}

// ErrNoRecord is the error of an id that no record has.
var ErrNoRecord = errors.New("no audit record with this id")

// maxRecords is larger than the number of records that one request leaves.
const maxRecords = 20

// QueriesFromRecords returns the queries for all audit records with an id: that of a
// record, a request or a transaction.
func QueriesFromRecords(records io.Reader, id string, set *policy.Set) ([]Query, error) {
	found, err := replay.FindRecords(records, id)
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
		reconstruction := r.Reconstruct(set)
		if reconstruction.Undecidable != "" {
			return nil, fmt.Errorf("record %s is undecidable: %s", r.Audit.ID, reconstruction.Undecidable)
		}
		all[i] = queryOfRecord(reconstruction)
	}
	return all, nil
}

func queryOfRecord(c replay.Reconstruction) Query {
	r := c.Record
	q := Query{Request: r.Request, Token: TokenState{Claims: r.Claims, NoToken: c.NoToken, Outage: c.Outage}, Notes: c.Uncertain}
	if r.Claims != nil {
		q.Token.Source = "as recorded at " + r.Audit.Time.UTC().Format(time.RFC3339)
	}
	if !c.ByPolicy {
		q.EarlyAnswer = r.Audit.Decision + " " + r.Audit.Reason
	}
	return q
}
