package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/strictjson"
	"github.com/meshpass/meshpass/shared/identity"
)

// Each token is checked by hasForm, without these regular expressions.
const (
	namespaceForm = `^[a-z][a-z0-9-]{0,31}$`
	maxNamespace  = 32
	claimNameForm = `^[a-z][a-z0-9_]{0,63}$`
	maxClaimName  = 64
)

// reservedMembers of tctx: a mapped claim may not have their names.
var reservedMembers = []string{"api", "org", "auth", "sid", testMember}

// CheckNamespace returns an error for a text that cannot be the namespace of a subject,
// the part before the colon of sub.
func CheckNamespace(name string) error {
	if !hasForm(name, maxNamespace, '-') {
		return fmt.Errorf("%.64q: want %s", name, namespaceForm)
	}
	return nil
}

// hasForm matches lower-case letters, digits and one other character, with a letter first.
func hasForm(name string, maxBytes int, other byte) bool {
	if len(name) > maxBytes {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter, follows := 'a' <= c && c <= 'z', '0' <= c && c <= '9' || c == other
		if !letter && (i == 0 || !follows) {
			return false
		}
	}
	return name != ""
}

// CheckClaimName returns an error for a text that cannot be the name of a mapped member
// of tctx.
func CheckClaimName(name string) error {
	if !hasForm(name, maxClaimName, '_') {
		return fmt.Errorf("claim %.64q: want %s", name, claimNameForm)
	}
	if slices.Contains(reservedMembers, name) {
		return fmt.Errorf("claim %q: the name is reserved", name)
	}
	return nil
}

// CheckScope returns an error for a text that is not one scope of RFC 6749 section 3.3:
// visible ASCII without quotation mark and backslash. The error does not hold the scope.
func CheckScope(scope string) error {
	if !isScopeList(scope) || strings.Contains(scope, " ") {
		return errors.New("a scope that is empty or has characters outside RFC 6749 section 3.3")
	}
	return nil
}

// isScopeList reports whether a text is one scope or more, with one space between two (RFC
// 6749 section 3.3).
func isScopeList(text string) bool {
	inScope := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == ' ' && inScope:
			inScope = false
		case '!' <= c && c <= '~' && c != '"' && c != '\\':
			inScope = true
		default:
			return false
		}
	}
	return inScope
}

// CheckScopes returns an error for scopes that do not fit into one token.
func CheckScopes(scopes []string) error {
	for _, s := range scopes {
		if err := CheckScope(s); err != nil {
			return err
		}
	}
	return checkTextClaim("scope", joinScopes(scopes))
}

// joinScopes returns the claim scope: each scope once, with one space between.
func joinScopes(scopes []string) string {
	if len(scopes) == 1 {
		return scopes[0]
	}
	var once []string
	for _, s := range scopes {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return strings.Join(once, " ")
}

// CheckText returns an error for a text that a token cannot carry unchanged: bytes that
// are not UTF-8, or U+FFFD, which replaces characters that were lost.
func CheckText(text string) error { return strictjson.CheckText(text) }

// CheckSubject returns an error for a subject that no verifier accepts. The error does
// not hold the subject's id.
func CheckSubject(s identity.Subject) error {
	if err := CheckNamespace(s.Namespace); err != nil {
		return fmt.Errorf("subject namespace %w", err)
	}
	if s.ID == "" {
		return errors.New("the subject's id is empty")
	}
	if err := checkTextClaim("sub", s.String()); err != nil {
		return err
	}
	return CheckText(s.ID)
}
