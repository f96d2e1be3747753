package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
)

// untyped stands in `types` for a token whose header has no typ.
const untyped = "none"

// defaultTypes are what providers write into the headers of access and ID tokens
// (RFC 7519 section 5.1, RFC 9068 section 2.1).
var defaultTypes = []string{"jwt", "at+jwt", untyped}

// kindClaims are the claims that tell kinds of tokens apart.
var kindClaims = []string{"sub", "events", "nonce", "at_hash", "c_hash", "s_hash", "token_use", "typ"}

// checkKind refuses tokens that the provider has signed for another purpose with
// the same keys (RFC 8725 sections 2.8, 3.11 and 3.12): logout tokens, security
// events, transaction tokens, assertions of clients.
func (p *idp) checkKind(t callerToken) error {
	other := func(format string, args ...any) error {
		return refuse(decision.TypeMismatch, "the caller's token is no access token: "+format, args...)
	}
	typ, err := typeIn(t.header)
	if err != nil {
		return other("%w", err)
	}
	if !slices.Contains(p.Types, typ) {
		return other("its typ is %.64q; types of idp %s has %s", typ, p.Alias, strings.Join(p.Types, ", "))
	}
	// RFC 8417 section 2.2, OpenID Connect Back-Channel Logout section 2.4.
	if _, event := t.claims["events"]; event {
		return other("it has the claim events, as security events and logout tokens do")
	}
	// RFC 7523 section 3: a client that proves to the provider who it is.
	if sub, _ := t.claims["sub"].(string); sub == p.Issuer {
		return other("its iss is its sub, as in the assertion of a client")
	}
	if p.AccessTokensOnly {
		if sign := signOfIDToken(t); sign != "" {
			return other("%s, as in an ID token, and idp %s has accessTokensOnly", sign, p.Alias)
		}
	}
	return nil
}

// typeIn gives the typ of a header in the form of `types`: media types are compared
// without case, and application/ may be left out (RFC 7515 section 4.1.9).
func typeIn(header map[string]any) (string, error) {
	value, there := header["typ"]
	if !there {
		return untyped, nil
	}
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("its typ is %s", kindName(value))
	}
	if typ := plainType(text); typ != untyped {
		return typ, nil
	}
	return "", fmt.Errorf("its typ is %q", text)
}

func plainType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// signOfIDToken says what marks the token as one about a login, for the client
// alone (OpenID Connect Core sections 2 and 3.3.2.11); "": nothing does. token_use
// is Amazon Cognito's claim, typ Keycloak's.
func signOfIDToken(t callerToken) string {
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
