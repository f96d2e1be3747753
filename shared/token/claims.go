package token

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// maxText bounds each text claim; the token as a whole has its own cap. A
// transaction id goes into response headers and support tickets.
const (
	maxText = 4096
	maxTxn  = 128
)

// readClaims applies rules 13 and 15, and the issuer's entitlements.
func (v *Verifier) readClaims(claims map[string]any, t times, trust Trust) (*identity.Claims, error) {
	if !audienceIs(claims["aud"], trust.Audience) {
		return nil, refuse(decision.AudienceMismatch, "aud is not exactly the configured audience")
	}
	c := &identity.Claims{
		Issuer: trust.Issuer, Audience: trust.Audience,
		IssuedAt: time.Unix(t.issued, 0).UTC(), Expires: time.Unix(t.expires, 0).UTC(),
	}
	if err := readTexts(claims, c); err != nil {
		return nil, &Error{Reason: decision.ClaimsInvalid, Cause: err}
	}
	requester, err := v.domains.ParseWorkload(c.Requester)
	if err != nil {
		return nil, &Error{Reason: decision.ClaimsInvalid, Cause: fmt.Errorf("req_wl: %w", identity.ErrNotSPIFFE)}
	}
	if err := trust.entitled(c, requester); err != nil {
		return nil, &Error{Reason: decision.NotEntitled, Cause: err}
	}
	// Whatever its value: only a test minter writes this member.
	if _, marked := c.Tctx[testMember]; marked && !v.allowTest {
		return nil, refuse(decision.TestToken, "tctx.%s is there, and test tokens are not admitted", testMember)
	}
	return c, nil
}

// audienceIs takes the audience as a text or as a list of just that text: a
// token that is good elsewhere too is refused.
func audienceIs(aud any, want string) bool {
	if list, ok := aud.([]any); ok && len(list) == 1 {
		aud = list[0]
	}
	text, ok := aud.(string)
	return ok && text == want
}

func readTexts(claims map[string]any, c *identity.Claims) (err error) {
	required := []struct {
		name string
		into *string
	}{{"txn", &c.Txn}, {"sub", &c.Subject}, {"req_wl", &c.Requester}}
	for _, r := range required {
		if *r.into, err = text(claims, r.name); err != nil {
			return err
		}
		if *r.into == "" {
			return fmt.Errorf("%s is empty", r.name)
		}
	}
	if len(c.Txn) > maxTxn || strings.ContainsFunc(c.Txn, notVisible) {
		return fmt.Errorf("txn is longer than %d or has a character that may not stand in a response header", maxTxn)
	}
	if namespace, id, _ := strings.Cut(c.Subject, ":"); CheckNamespace(namespace) != nil || id == "" {
		return errors.New("sub is not NAMESPACE:ID")
	}
	if c.Scope, err = text(claims, "scope"); err != nil {
		return err
	}
	if c.Scope != "" && !scopesForm.MatchString(c.Scope) {
		return errors.New("scope has characters outside RFC 6749 section 3.3")
	}
	if c.Tctx, err = object(claims, "tctx"); err != nil {
		return err
	}
	c.Rctx, err = object(claims, "rctx")
	return err
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

func text(claims map[string]any, name string) (string, error) {
	value, ok := claims[name].(string)
	if !ok || len(value) > maxText {
		return "", fmt.Errorf("%s is not a text of at most %d bytes", name, maxText)
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return "", fmt.Errorf("%s has a control character", name) // for logs, headers and terminals it is a command
	}
	return value, nil
}

// object reads a member that the draft recommends; absent it is empty.
func object(claims map[string]any, name string) (map[string]any, error) {
	value, present := claims[name]
	if !present {
		return map[string]any{}, nil
	}
	members, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", name)
	}
	return members, nil
}
