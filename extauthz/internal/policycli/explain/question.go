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
	"github.com/meshpass/meshpass/extauthz/internal/peers"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/replay"
	"github.com/meshpass/meshpass/extauthz/internal/tokencli"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Asked is a request as flags give it; what is empty is not given.
type Asked struct {
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

// FromFlags is the question that the flags alone make.
func (a Asked) FromFlags(domains identity.TrustDomains, now time.Time) (Question, error) {
	if a.Callee == "" {
		return Question{}, withKnown(ErrNoCallee, "", "targets", a.Targets)
	}
	q := Question{NoToken: decision.TokenMissing}
	q.Method, q.Path, q.Now, q.Headers = "GET", "/", now, map[string]string{}
	return q, a.over(&q, domains)
}

// FromCheck is the question of a CheckRequest, with what the flags change of it.
// Without verify the token's claims are taken as they are.
func (a Asked) FromCheck(data []byte, domains identity.TrustDomains, verify Verify, now time.Time) (Question, error) {
	sides := peers.Peers{Caller: peers.CallerByPrincipal(domains), Callee: peers.CalleeByPrincipal(domains)}
	seen, err := check.ReadJSON(data, sides, now)
	if err != nil {
		return Question{}, err
	}
	q := Question{Request: seen.Request, NoToken: seen.NoToken}
	if seen.Refusal != "" && (seen.Refusal != decision.NoCallee || a.Callee == "") {
		q.Given = decision.Deny(seen.Refusal).String() + " " + string(seen.Refusal)
	}
	if seen.Token != "" {
		if err := q.token(seen.Token, verify); err != nil {
			return Question{}, err
		}
	}
	return q, a.over(&q, domains)
}

func (q *Question) token(raw string, verify Verify) (err error) {
	if verify != nil {
		known := verify(raw)
		q.Claims, q.NoToken, q.Outage = known.Claims, known.Refusal, known.Outage
		if q.Claims != nil {
			q.Source = "verified"
		}
		return nil
	}
	seen, err := tokencli.Inspect(raw, q.Now)
	if err != nil {
		q.NoToken = decision.TokenFormat
		return nil
	}
	q.Source = "NOT VERIFIED: as the token says of itself; --config verifies it"
	q.Claims, err = policycli.ParseClaims(seen.Claims)
	return err
}

// over puts what the flags say in the place of what the request says.
func (a Asked) over(q *Question, domains identity.TrustDomains) error {
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
	return errors.Join(a.sides(q, domains), a.token(q))
}

func (a Asked) sides(q *Question, domains identity.TrustDomains) error {
	switch a.Caller {
	case "":
	case "none":
		q.Caller, q.NoCaller = "", true
	default:
		named, err := domains.ParsePattern(a.Caller)
		if err != nil || named.Literal() == "" {
			return withKnown(fmt.Errorf("--caller %q: want one workload, ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, or none", a.Caller), a.Caller, "callers of rules", a.Callers)
		}
		q.Caller, q.NoCaller = named.Literal(), false
	}
	if a.Callee == "" {
		return nil
	}
	named, err := domains.ParseTarget(a.Callee)
	if err != nil || named.Literal() == "" {
		return withKnown(fmt.Errorf("--callee %q: want one of those that documents target, without *", a.Callee), a.Callee, "targets", a.Targets)
	}
	q.Callee = named.Literal()
	if q.Callee.IsEdge() && a.Caller == "" {
		q.Caller, q.NoCaller = "", true
	}
	return nil
}

// withKnown adds to an error the names that documents have, and which one a mistaken
// name may mean.
func withKnown(err error, mistaken, what string, known []string) error {
	if len(known) == 0 {
		return err
	}
	return fmt.Errorf("%w%s; %s are %s", err, suggest.DidYouMean(mistaken, known), what, policycli.ShortList(known))
}

func (a Asked) token(q *Question) (err error) {
	switch reason := decision.Reason(a.NoToken); {
	case a.NoToken != "" && a.Claims != "":
		return errors.New("--claims and --no-token: a token verifies or it does not")
	case a.Claims != "":
		q.Source = "as --claims says"
		q.Claims, err = policycli.ParseClaims([]byte(a.Claims))
	case a.NoToken == "":
	case !slices.Contains(decision.Reasons(), reason) || reason.Class() == decision.Allowed:
		err = fmt.Errorf("--no-token %q: want the reason why it is refused, such as %s or %s", a.NoToken, decision.TokenMissing, decision.TokenExpired)
	default:
		q.Claims, q.NoToken, q.Outage, q.Source = nil, reason, reason.CanBeOutage(), ""
	}
	return err
}

// ErrNoRecord says that there is nothing to explain.
var ErrNoRecord = errors.New("no audit record with this id")

// maxRecords is more than one request leaves behind.
const maxRecords = 20

// FromRecords are the questions of all records with an id.
func FromRecords(records io.Reader, id string, set *policy.Set) ([]Question, error) {
	found, err := replay.Find(records, id)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, ErrNoRecord
	case len(found) > maxRecords:
		return nil, fmt.Errorf("%d records: choose with --id, the id of a record, a request or a transaction", len(found))
	}
	all := make([]Question, len(found))
	for i, r := range found {
		all[i] = recorded(r.Recall(set))
	}
	return all, nil
}

func recorded(r replay.Recall) Question {
	q := Question{Request: r.Request, Claims: r.Claims, NoToken: r.Token, Outage: r.Outage, Notes: r.Notes}
	if q.Claims != nil {
		q.Source = "as recorded at " + r.Time.UTC().Format(time.RFC3339)
	}
	if !r.Documents {
		q.Given = r.Decision + " " + r.Reason
	}
	return q
}
