package main

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/TykTechnologies/tyk/storage"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// fromClaims reads who the caller is from the JWT that Tyk has verified. In Tyk
// 5.8 that is a signature and times: whose token it is, and for whom it was
// issued, is checked here.
func (s *signer) fromClaims(a *api, session *user.SessionState, r *http.Request) (identity.Identity, error) {
	if !a.contextVars {
		return identity.Identity{}, refuse(decision.ClaimsUnavailable,
			"API %s: set enable_context_vars (OAS: middleware.global.contextVariables.enabled), or the verified claims do not reach the plugin", a.ID)
	}
	claim := verifiedClaim(r)
	provider, err := s.config.provider(claim)
	if err != nil {
		return identity.Identity{}, err
	}
	if err := s.config.signedBy(provider, a); err != nil {
		return identity.Identity{}, err
	}
	if user := a.tykUser(claim); user == "" || !keyNamedAfter(session.KeyID, user) {
		return identity.Identity{}, refuse(decision.ClaimsUnbound, "API %s: the verified claims are not those of this session", a.ID)
	}
	if err := provider.refuseHeaderFields(rawToken(a.tokenIn, r)); err != nil {
		return identity.Identity{}, err
	}
	return provider.identify(claim)
}

// provider finds the configured identity provider whose token this is.
func (c *config) provider(claim func(string) any) (*idp, error) {
	issuer, _ := claim("iss").(string)
	for i := range c.IDPs {
		p := &c.IDPs[i]
		if p.Issuer != issuer {
			continue
		}
		if !slices.ContainsFunc(audiences(claim("aud")), func(aud string) bool { return slices.Contains(p.Audiences, aud) }) {
			return nil, refuse(decision.AudienceMismatch, "the caller's token of %s is for none of its configured audiences", issuer)
		}
		return p, nil
	}
	return nil, refuse(decision.IssuerUnknown, "no entry of idps has the issuer %.256q", issuer)
}

// signedBy refuses a token that one provider has signed in the name of another: Tyk
// verifies with the keys that the API names and does not ask whose they are. With
// OpenID Connect it finds the keys by the issuer.
func (c *config) signedBy(p *idp, a *api) error {
	if a.method != methodJWT || len(c.IDPs) == 1 && len(p.Sources) == 0 {
		return nil
	}
	foreign := func(source string) bool { return !slices.Contains(p.Sources, source) }
	if slices.ContainsFunc(a.jwtSources, foreign) {
		return refuse(decision.IssuerUnknown, "API %s: its jwt_source is not in jwtSources of idp %s, in whose name the caller's token was signed", a.ID, p.Alias)
	}
	return nil
}

// audiences reads both forms of the claim (RFC 7519 section 4.1.3).
func audiences(value any) []string {
	if one, ok := value.(string); ok {
		return []string{one}
	}
	list, _ := value.([]any)
	all, _ := texts(list)
	return all
}

// identify applies the mapping of one provider.
func (p *idp) identify(claim func(string) any) (identity.Identity, error) {
	var id identity.Identity
	subject := subjectOf(claim, p.Subject)
	if subject == "" {
		return id, refuse(decision.SubjectUnknown, "claim %s of the caller's token is absent, empty or not a text", p.Subject)
	}
	id.Subject = identity.Subject{Namespace: p.Alias, ID: subject}
	for _, name := range p.Scopes {
		scopes, err := scopesIn(lookup(claim, name))
		if err != nil {
			return id, refuse(decision.ClaimsInvalid, "scope claim %s: %w", name, err)
		}
		id.Scopes = append(id.Scopes, scopes...)
	}
	var err error
	if id.Claims, err = mapClaims(p.Claims, func(from string) any { return lookup(claim, from) }); err != nil {
		return id, err
	}
	id.AuthTime, _ = numericDate(claim("auth_time"))
	// Providers must write it into what they issue to callers (RFC 9068 section 2.2,
	// OpenID Connect Core section 2), and need not into what else they sign with the
	// same key, such as logout tokens.
	var ok bool
	if id.NotAfter, ok = numericDate(claim("exp")); !ok {
		return id, refuse(decision.ClaimsInvalid, "claim exp of the caller's token is absent or not a time")
	}
	return id, nil
}

// numericDate reads RFC 7519's form; Tyk hands every number over as float64.
func numericDate(value any) (time.Time, bool) {
	seconds, ok := value.(float64)
	if !ok || seconds <= 0 || seconds >= 1<<53 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// tykUser is the claim after which Tyk names the session.
func (a *api) tykUser(claim func(string) any) string {
	if a.method == methodJWT && a.identityField != "" {
		if user, ok := claim(a.identityField).(string); ok {
			return user
		}
	}
	user, _ := claim("sub").(string)
	return user
}

// keyNamedAfter binds claims to a session: Tyk ends the key of a session that a
// JWT or OpenID token opened with the MD5 of the user. The session's alias would
// not do: whichever of the two middlewares saw the user first has set it, in its
// own form. A session that is an API key's, or another user's, fails here.
func keyNamedAfter(key, user string) bool {
	sum := md5.Sum([]byte(user)) // Tyk's choice: a name, not a proof
	name := hex.EncodeToString(sum[:])
	if id, err := storage.TokenID(key); err == nil { // with hash_key_function, the key is JSON in base64
		key = id
	}
	return strings.HasSuffix(key, name)
}
