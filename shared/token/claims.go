package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/meshpass/meshpass/internal/strictjson"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// Limits in bytes. A transaction id goes into response headers and support tickets.
const (
	maxText = 4096 // of a text claim; the token as a whole has a limit of its own
	maxTxn  = 128
)

// testMember of tctx marks a token that was minted for a test.
const testMember = "test"

// claimRules are the rules about claims, which need no key. The verifier applies them to
// tokens from outside, and the minter to its own.
type claimRules struct {
	issuers   map[string]Trust
	domains   identity.TrustDomains
	maxBytes  int
	allowTest bool
	now       func() time.Time
}

// checkBeforeSignature finds the issuer's trust entry and checks the times, which is
// cheap. Nothing else of the claims may be read before the signature is verified (21).
func (r claimRules) checkBeforeSignature(p *parsed) (Trust, tokenTimes, error) {
	trust, err := r.findTrust(p)
	if err != nil {
		return Trust{}, tokenTimes{}, err
	}
	times, err := readTimes(p)
	if err != nil {
		return Trust{}, tokenTimes{}, err
	}
	return trust, times, times.check(r.now(), trust)
}

// findTrust selects the issuer's own keys by the issuer's name. It never searches the
// key sets of other issuers (12).
func (r claimRules) findTrust(p *parsed) (Trust, error) {
	issuer, _ := p.claim("iss").Text()
	trust, known := r.issuers[issuer]
	if !known {
		return Trust{}, newError(decision.IssuerUnknown, "iss is not trusted")
	}
	if !slices.Contains(trust.Algorithms, p.algorithm) {
		return Trust{}, newError(decision.AlgorithmRefused, "alg is not an algorithm of this issuer")
	}
	return trust, nil
}

// readClaims returns the claims of a token that passes [claimRules.checkClaims].
func (r claimRules) readClaims(p *parsed, times tokenTimes, trust Trust) (*identity.Claims, error) {
	c := &identity.Claims{}
	if err := r.checkClaims(p, times, trust, c); err != nil {
		return nil, err
	}
	c.Tctx, c.Rctx = makeObject(p, "tctx"), makeObject(p, "rctx")
	return c, nil
}

// checkClaims checks the audience (13), the required claims (15), what the issuer may
// assert (23), and that the token is not a test token (24). It reads the claims into c, but
// for the objects, which take most of the memory.
func (r claimRules) checkClaims(p *parsed, times tokenTimes, trust Trust, c *identity.Claims) error {
	if !isAudience(p.claim("aud"), trust.Audience) {
		return newError(decision.AudienceMismatch, "aud is not exactly the configured audience")
	}
	c.Issuer, c.Audience = trust.Issuer, trust.Audience
	c.IssuedAt, c.Expires = time.Unix(times.issued, 0).UTC(), time.Unix(times.expires, 0).UTC()
	if err := readMembers(p, c); err != nil {
		return &Error{Reason: decision.ClaimsInvalid, Cause: err}
	}
	requester, err := r.domains.ParseWorkload(c.Requester)
	if err != nil {
		return &Error{Reason: decision.ClaimsInvalid, Cause: fmt.Errorf("req_wl: %w", identity.ErrNotSPIFFE)}
	}
	if err := trust.checkEntitlement(c, requester); err != nil {
		return &Error{Reason: decision.NotEntitled, Cause: err}
	}
	// The value does not count: only a minter of test tokens writes this member.
	if p.claim("tctx").Member(testMember).IsPresent() && !r.allowTest {
		return newError(decision.TestToken, "tctx.%s is present, and test tokens are not accepted", testMember)
	}
	return nil
}

// isAudience reports whether aud is the text want, or a list of this one text. A token
// that is also valid elsewhere is invalid here (13).
func isAudience(aud strictjson.Value, want string) bool {
	if entry := aud.OnlyEntry(); entry.IsPresent() {
		aud = entry
	}
	text, ok := aud.Text()
	return ok && text == want
}

// readMembers reads the claims that are texts, and checks those that are objects (15).
func readMembers(p *parsed, c *identity.Claims) (err error) {
	required := []struct {
		name string
		into *string
	}{{"txn", &c.Txn}, {"sub", &c.Subject}, {"req_wl", &c.Requester}}
	for _, r := range required {
		if *r.into, err = readText(p, r.name); err != nil {
			return err
		}
		if *r.into == "" {
			return fmt.Errorf("%s is empty", r.name)
		}
	}
	if len(c.Txn) > maxTxn || strings.ContainsFunc(c.Txn, isNotVisible) {
		return fmt.Errorf("txn is longer than %d bytes, or has a character that a response header cannot hold", maxTxn)
	}
	if namespace, id, _ := strings.Cut(c.Subject, ":"); CheckNamespace(namespace) != nil || id == "" {
		return errors.New("sub is not NAMESPACE:ID")
	}
	if c.Scope, err = readText(p, "scope"); err != nil {
		return err
	}
	if c.Scope != "" && !isScopeList(c.Scope) {
		return errors.New("scope has characters outside RFC 6749 section 3.3")
	}
	for _, name := range []string{"tctx", "rctx"} {
		if value := p.claim(name); value.IsPresent() && !value.IsObject() {
			return fmt.Errorf("%s is not an object", name)
		}
	}
	return nil
}

func isNotVisible(r rune) bool { return r <= ' ' || r > '~' }

func readText(p *parsed, name string) (string, error) {
	value, ok := p.claim(name).Text()
	if !ok {
		return "", fmt.Errorf("%s is not a text of at most %d bytes", name, maxText)
	}
	return value, checkTextClaim(name, value)
}

// makeObject makes the map of a claim that is an object. One that is absent is empty: the
// draft only recommends it.
func makeObject(p *parsed, name string) map[string]any {
	if members, ok := p.claim(name).Object(); ok {
		return members
	}
	return map[string]any{}
}

// checkTextClaim rejects a text that is too long, or that holds a control character:
// logs, headers and terminals take such a character for a command.
func checkTextClaim(name, value string) error {
	if len(value) > maxText {
		return fmt.Errorf("%s is not a text of at most %d bytes", name, maxText)
	}
	if hasControl(value) {
		return fmt.Errorf("%s has a control character", name)
	}
	return nil
}

// hasControl reports whether a text has a control character of Unicode. Most texts are
// ASCII, which takes no decoding.
func hasControl(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			return strings.ContainsFunc(text[i:], unicode.IsControl)
		case c < ' ' || c == 0x7f:
			return true
		}
	}
	return false
}
