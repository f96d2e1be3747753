package token

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// maxText bounds each text claim; the token as a whole has its own cap.
const maxText = 4096

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
	requester, err := v.domains.Workload(c.Requester)
	if err != nil {
		return nil, &Error{Reason: decision.ClaimsInvalid, Cause: fmt.Errorf("req_wl: %w", identity.ErrNotSPIFFE)}
	}
	if err := trust.entitled(c, requester); err != nil {
		return nil, &Error{Reason: decision.NotEntitled, Cause: err}
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
	if strings.ContainsFunc(c.Txn, notVisible) {
		return fmt.Errorf("txn has a character that may not stand in a response header")
	}
	if namespace, id, ok := strings.Cut(c.Subject, ":"); !ok || namespace == "" || id == "" {
		return fmt.Errorf("sub is not NAMESPACE:ID")
	}
	if c.Scope, err = text(claims, "scope"); err != nil {
		return err
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
