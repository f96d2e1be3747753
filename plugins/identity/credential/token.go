package credential

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/gateway/mapping"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
)

// callerToken is the caller's token as it was sent. The claims that Tyk gives to plugins contain header
// fields, and numbers that have lost digits. Here are the header itself, and the digits.
type callerToken struct{ header, claims map[string]any }

func (t callerToken) claim(name string) any { return t.claims[name] }

// parseToken does not verify. No claim is trusted before [compareWithVerified] has found it among the
// claims that Tyk has verified.
func parseToken(raw string) (t callerToken, err error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return t, denial.New(decision.ClaimsUnavailable, "the caller's token is not where the API's definition says")
	}
	if t.header, err = parsePart(parts[0]); err != nil {
		return t, denial.New(decision.ClaimsInvalid, "header of the caller's token: %w", err)
	}
	if t.claims, err = parsePart(parts[1]); err != nil {
		return t, denial.New(decision.ClaimsInvalid, "claims of the caller's token: %w", err)
	}
	return t, nil
}

// parsePart gives numbers as [json.Number].
func parsePart(part string) (members map[string]any, err error) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return members, decoder.Decode(&members)
}

// compareWithVerified denies a token that is not the one that Tyk has verified. It also denies a token
// whose header has a field of a name that would be read as a claim, and whose claims lack this name:
// Tyk gives both to plugins under one name, and a claim replaces the field. names are those of [claimsRead].
func compareWithVerified(names []string, own callerToken, verified func(name string) any) error {
	for _, name := range names {
		if _, isField := own.header[name]; isField && !own.hasClaim(name) {
			return denial.New(decision.ClaimsInvalid, "%s is a field of the header of the caller's token, not a claim", name)
		}
		if !isSameJSON(own.claims[name], verified(name)) {
			return unboundClaim(name)
		}
	}
	for _, name := range purposeClaims {
		value := own.claims[name]
		if field, isField := own.header[name]; isField && !own.hasClaim(name) {
			value = field
		}
		if !isSameJSON(value, verified(name)) {
			return unboundClaim(name)
		}
	}
	return nil
}

func (t callerToken) hasClaim(name string) bool {
	_, has := t.claims[name]
	return has
}

func unboundClaim(name string) error {
	return denial.New(decision.ClaimsUnbound, "claim %s of the caller's token is not what the gateway has verified", name)
}

// claimsRead are the claims of the caller's token that our token is made from, with the names that Tyk
// gives them for plugins.
func claimsRead(p *settings.IDP) []string {
	names := []string{"iss", "aud", "exp", "auth_time"}
	paths := slices.Concat(mapping.SubjectClaims(p.Subject), p.Scopes)
	for _, rule := range p.Claims {
		paths = append(paths, rule.From)
	}
	for _, path := range paths {
		names = append(names, mapping.LeadingNames(path)...)
	}
	return names
}

// isSameJSON compares a value that has its digits with a value that was read into Go's usual types.
func isSameJSON(own, verified any) bool {
	switch own := own.(type) {
	case json.Number:
		if digits, ok := verified.(json.Number); ok {
			return own == digits
		}
		f, err := own.Float64()
		return err == nil && verified == f
	case []any:
		list, ok := verified.([]any)
		return ok && slices.EqualFunc(own, list, isSameJSON)
	case map[string]any:
		object, ok := verified.(map[string]any)
		return ok && maps.EqualFunc(own, object, isSameJSON)
	}
	switch verified.(type) {
	case []any, map[string]any: // Go cannot compare these
		return false
	}
	return own == verified
}

// purposeClaims are the claims that show the purpose of a token.
var purposeClaims = []string{"sub", "events", "nonce", "at_hash", "c_hash", "s_hash", "token_use", "typ"}

// checkPurpose denies tokens that the provider has signed for another purpose with the same keys (RFC
// 8725 sections 2.8, 3.11 and 3.12): logout tokens, security events, transaction tokens, assertions of
// clients.
func checkPurpose(p *settings.IDP, t callerToken) error {
	mismatch := func(format string, args ...any) error {
		return denial.New(decision.TypeMismatch, "the caller's token is no access token: "+format, args...)
	}
	typ, err := readType(t.header)
	if err != nil {
		return mismatch("%w", err)
	}
	if !slices.Contains(p.Types, typ) {
		return mismatch("its typ is %.64q; types of idp %s has %s", typ, p.Alias, strings.Join(p.Types, ", "))
	}
	// RFC 8417 section 2.2, OpenID Connect Back-Channel Logout section 2.4.
	if _, event := t.claims["events"]; event {
		return mismatch("it has the claim events, as security events and logout tokens do")
	}
	// RFC 7523 section 3: a client that proves its identity to the provider.
	if sub, _ := t.claims["sub"].(string); sub == p.Issuer {
		return mismatch("its iss is its sub, as in the assertion of a client")
	}
	if p.AccessTokensOnly {
		if mark := findIDTokenMark(t); mark != "" {
			return mismatch("%s, as in an ID token, and idp %s has accessTokensOnly", mark, p.Alias)
		}
	}
	return nil
}

// readType gives the typ of a header in the form of [settings.IDP.Types].
func readType(header map[string]any) (string, error) {
	value, there := header["typ"]
	if !there {
		return settings.Untyped, nil
	}
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("its typ is %s", mapping.KindName(value))
	}
	if typ := settings.NormalizeType(text); typ != settings.Untyped {
		return typ, nil
	}
	return "", fmt.Errorf("its typ is %q", text)
}

// findIDTokenMark finds what marks the token as an ID token, which is about a login and for the client
// alone (OpenID Connect Core sections 2 and 3.3.2.11); "": nothing does. token_use is Amazon Cognito's
// claim, typ is Keycloak's.
func findIDTokenMark(t callerToken) string {
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, there := t.claims[name]; there {
			return "it has the claim " + name
		}
	}
	for name, value := range map[string]string{"token_use": "id", "typ": "ID"} {
		if t.claims[name] == value {
			return fmt.Sprintf("its claim %s is %s", name, value)
		}
	}
	return ""
}
