package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/strictjson"
	"github.com/meshpass/meshpass/shared/identity"
)

// payload is the claims set in the order in which it is written. The names are
// fixed: what is configurable stands inside tctx and is escaped as a value.
type payload struct {
	Issuer    string         `json:"iss"`
	Audience  string         `json:"aud"`
	IssuedAt  int64          `json:"iat"`
	Expires   int64          `json:"exp"`
	Txn       string         `json:"txn"`
	Subject   string         `json:"sub"`
	Scope     string         `json:"scope"`
	Requester string         `json:"req_wl"`
	Tctx      map[string]any `json:"tctx"`
	Rctx      map[string]any `json:"rctx"`
}

func (m *Minter) payload(id identity.Identity, lifetime time.Duration) ([]byte, error) {
	if err := checkIdentity(id); err != nil {
		return nil, err
	}
	now := m.config.Now()
	return json.Marshal(payload{
		Issuer: m.config.Issuer, Audience: m.config.Audience,
		IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(), // rounded down: never past the credential
		Txn: id.Txn, Subject: id.Subject.String(), Scope: scope(id.Scopes), Requester: id.Requester,
		Tctx: m.tctx(id), Rctx: rctx(id),
	})
}

func scope(scopes []string) string {
	var once []string
	for _, s := range scopes {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return strings.Join(once, " ")
}

// testMember of tctx marks a token that was minted by hand, for a test.
const testMember = "test"

// reserved members of tctx: a mapped claim may not take their place.
var reserved = []string{"api", "org", "auth", "sid", testMember}

func (m *Minter) tctx(id identity.Identity) map[string]any {
	members := map[string]any{}
	for name, value := range id.Claims {
		members[name] = value
	}
	if id.API != (identity.API{}) {
		members["api"] = map[string]any{"id": id.API.ID, "name": id.API.Name}
	}
	setText(members, "org", id.Org)
	setText(members, "auth", id.Method)
	setText(members, "sid", id.SessionID)
	if m.config.Test {
		members[testMember] = true
	}
	return members
}

func rctx(id identity.Identity) map[string]any {
	members := map[string]any{}
	setText(members, "ip", id.IP)
	if !id.AuthTime.IsZero() {
		members["auth_time"] = id.AuthTime.Unix()
	}
	return members
}

func setText(members map[string]any, name, value string) {
	if value != "" {
		members[name] = value
	}
}

var (
	namespaceForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	claimNameForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	// RFC 6749 section 3.3: one scope, and what the claim scope holds.
	scopeForm  = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`)
	scopesForm = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$`)
)

// CheckNamespace refuses what may not stand before the colon of a subject.
func CheckNamespace(name string) error {
	if !namespaceForm.MatchString(name) {
		return fmt.Errorf("%.64q: want %s", name, namespaceForm)
	}
	return nil
}

// CheckClaimName refuses what may not be a mapped member of tctx.
func CheckClaimName(name string) error {
	if !claimNameForm.MatchString(name) {
		return fmt.Errorf("claim %.64q: want %s", name, claimNameForm)
	}
	if slices.Contains(reserved, name) {
		return fmt.Errorf("claim %q: the name is reserved", name)
	}
	return nil
}

// CheckScope refuses what is not one scope of RFC 6749 section 3.3: visible ASCII
// without quotation mark and backslash. The error does not hold the scope.
func CheckScope(scope string) error {
	if !scopeForm.MatchString(scope) {
		return errors.New("a scope that is empty or has characters outside RFC 6749 section 3.3")
	}
	return nil
}

// CheckText refuses a text that a token cannot carry as it is: bytes that are not
// UTF-8, and U+FFFD, which stands for characters that were lost.
func CheckText(text string) error { return strictjson.CheckText(text) }

// CheckSubject refuses a subject that no verifier accepts. The error does not hold
// the subject.
func CheckSubject(s identity.Subject) error {
	if err := CheckNamespace(s.Namespace); err != nil {
		return fmt.Errorf("subject namespace %w", err)
	}
	if s.ID == "" {
		return errors.New("the subject's id is empty")
	}
	if _, err := text(map[string]any{"sub": s.String()}, "sub"); err != nil {
		return err
	}
	return CheckText(s.ID)
}

// CheckScopes refuses scopes that do not fit into one token.
func CheckScopes(scopes []string) error {
	for _, s := range scopes {
		if err := CheckScope(s); err != nil {
			return err
		}
	}
	_, err := text(map[string]any{"scope": scope(scopes)}, "scope")
	return err
}

func checkIdentity(id identity.Identity) error {
	if err := CheckSubject(id.Subject); err != nil {
		return err
	}
	if err := CheckScopes(id.Scopes); err != nil {
		return err
	}
	for name := range id.Claims {
		if err := CheckClaimName(name); err != nil {
			return err
		}
	}
	return nil
}
