package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/TykTechnologies/tyk/storage"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// fromClaims reads who the caller is from the JWT that Tyk has verified. In Tyk
// 5.8 that is a signature and times: whose token it is, and for whom it was
// issued, is checked here.
func (s *signer) fromClaims(a *api, session *user.SessionState, r *http.Request) (identity.Identity, error) {
	if !a.contextVars {
		return identity.Identity{}, refuse(decision.ClaimsUnavailable,
			"API %s: set enable_context_vars (OAS: middleware.global.contextVariables.enabled), or the verified claims do not reach the plugin", a.ID)
	}
	verified := verifiedClaim(r)
	provider, err := s.config.provider(a, verified)
	if err != nil {
		return identity.Identity{}, err
	}
	if err := s.config.signedBy(provider, a); err != nil {
		return identity.Identity{}, err
	}
	if user := a.tykUser(verified); user == "" || !keyNamedAfter(session.KeyID, user) {
		return identity.Identity{}, refuse(decision.ClaimsUnbound, "API %s: the verified claims are not those of this session", a.ID)
	}
	own, err := readCallerToken(rawToken(a.tokenIn, r))
	if err != nil {
		return identity.Identity{}, err
	}
	if err := provider.bind(own, verified); err != nil {
		return identity.Identity{}, err
	}
	if err := provider.checkKind(own); err != nil {
		return identity.Identity{}, err
	}
	return provider.identify(own.claim, s.foundIn(provider.Alias))
}

// provider finds the configured identity provider whose token this is. The token
// must be for an audience of the provider, and for one of the API's own where the
// API narrows them.
func (c *config) provider(a *api, claim func(string) any) (*idp, error) {
	issuer, _ := claim("iss").(string)
	for i := range c.IDPs {
		p := &c.IDPs[i]
		if p.Issuer != issuer {
			continue
		}
		admitted := func(aud string) bool {
			return slices.Contains(p.Audiences, aud) && (a.audiences == nil || slices.Contains(*a.audiences, aud))
		}
		if !slices.ContainsFunc(audiences(claim("aud")), admitted) {
			return nil, refuse(decision.AudienceMismatch, "API %s: the caller's token of %s is for none of the configured audiences", a.ID, issuer)
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

// identify applies the mapping of one provider. found hears which claims are there.
func (p *idp) identify(claim func(string) any, found func(name string, there bool)) (identity.Identity, error) {
	var id identity.Identity
	subject, err := subjectOf(claim, p.Subject)
	if err != nil {
		return id, refuse(decision.SubjectUnknown, "subject %s of the caller's token: %w", p.Subject, err)
	}
	if subject == "" {
		return id, refuse(decision.SubjectUnknown, "claim %s of the caller's token is absent or empty", p.Subject)
	}
	if id.Subject, err = subjectNamed(p.Alias, subject); err != nil {
		return id, err
	}
	if id.Scopes, err = p.scopesOf(claim, found); err != nil {
		return id, err
	}
	if id.Claims, err = mapClaims(p.Claims, func(from string) any { return lookup(claim, from) }, found); err != nil {
		return id, err
	}
	id.AuthTime, _ = numericDate(claim("auth_time"))
	// Providers must write it into what they issue to callers (RFC 9068 section 2.2,
	// OpenID Connect Core section 2).
	var ok bool
	if id.NotAfter, ok = numericDate(claim("exp")); !ok {
		return id, refuse(decision.ClaimsInvalid, "claim exp of the caller's token is absent or not a time")
	}
	return id, nil
}

func (p *idp) scopesOf(claim func(string) any, found func(name string, there bool)) (all []string, err error) {
	there := false
	for _, name := range p.Scopes {
		value := lookup(claim, name)
		there = there || value != nil
		scopes, err := scopesIn(value)
		if err != nil {
			return nil, refuse(decision.ClaimsInvalid, "scope claim %s: %w", name, err)
		}
		all = append(all, scopes...)
	}
	if len(p.Scopes) > 0 {
		found(scopeClaim, there)
	}
	if err := token.CheckScopes(all); err != nil {
		return nil, refuse(decision.ClaimsInvalid, "scopes %s: %w", strings.Join(p.Scopes, ", "), err)
	}
	return all, nil
}

// subjectNamed refuses a name that no token can carry. It is the caller's
// credential that says it.
func subjectNamed(namespace, id string) (identity.Subject, error) {
	subject := identity.Subject{Namespace: namespace, ID: id}
	if err := token.CheckSubject(subject); err != nil {
		return identity.Subject{}, refuse(decision.ClaimsInvalid, "the subject that the caller's credential names: %w", err)
	}
	return subject, nil
}

// numericDate reads RFC 7519's form.
func numericDate(value any) (time.Time, bool) {
	number, _ := value.(json.Number)
	seconds, err := number.Float64()
	if err != nil || seconds <= 0 || seconds >= exactIntegers {
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
