package credential

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/gateway/mapping"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// readToken reads the caller's identity from the JWT that Tyk has verified. Tyk 5.8 verifies the
// signature and the times. The issuer and the audience are checked here.
func (c Reader) readToken(a *tykapi.ProtectedAPI, s tykSession) (identity.Identity, error) {
	if !a.ContextVars {
		return identity.Identity{}, denial.New(decision.ClaimsUnavailable,
			"API %s: set enable_context_vars (OAS: middleware.global.contextVariables.enabled), or the verified claims do not reach the plugin", a.ID)
	}
	verified := tykapi.VerifiedClaims(s.r)
	provider, err := findProvider(c.config, a, verified)
	if err != nil {
		return identity.Identity{}, err
	}
	if err := checkSigner(c.config, provider, a); err != nil {
		return identity.Identity{}, err
	}
	if user := a.SessionUser(verified); user == "" || !tykapi.IsSessionOfUser(s.state, user) {
		return identity.Identity{}, denial.New(decision.ClaimsUnbound, "API %s: the verified claims are not those of this session", a.ID)
	}
	own, err := parseToken(a.CallerToken(s.r))
	if err != nil {
		return identity.Identity{}, err
	}
	if err := compareWithVerified(c.claims[provider], own, verified); err != nil {
		return identity.Identity{}, err
	}
	if err := checkPurpose(provider, own); err != nil {
		return identity.Identity{}, err
	}
	return mapToken(provider, own.claim, c.report.forMapping(provider.Alias))
}

// findProvider finds the configured identity provider that has issued the token. The token must be for
// an audience of the provider, and for one of the API's own if the API narrows them.
func findProvider(c *settings.Config, a *tykapi.ProtectedAPI, claim func(string) any) (*settings.IDP, error) {
	issuer, _ := claim("iss").(string)
	for i := range c.IDPs {
		p := &c.IDPs[i]
		if p.Issuer != issuer {
			continue
		}
		isAdmitted := func(audience string) bool {
			return slices.Contains(p.Audiences, audience) && a.AdmitsAudience(audience)
		}
		if !slices.ContainsFunc(readAudiences(claim("aud")), isAdmitted) {
			return nil, denial.New(decision.AudienceMismatch, "API %s: the caller's token of %s is for none of the configured audiences", a.ID, issuer)
		}
		return p, nil
	}
	return nil, denial.New(decision.IssuerUnknown, "no entry of idps has the issuer %.256q", issuer)
}

// readAudiences reads both forms of the claim (RFC 7519 section 4.1.3).
func readAudiences(value any) []string {
	if one, ok := value.(string); ok {
		return []string{one}
	}
	list, _ := value.([]any)
	all, _ := mapping.TextList(list)
	return all
}

// checkSigner denies a token that one provider has signed in the name of another. Tyk verifies with the
// keys that the API names, and does not check whose they are. With OpenID Connect it finds the keys by
// the issuer.
func checkSigner(c *settings.Config, p *settings.IDP, a *tykapi.ProtectedAPI) error {
	if a.Method != tykapi.MethodJWT || len(c.IDPs) == 1 && len(p.Sources) == 0 {
		return nil
	}
	isUnlisted := func(source string) bool { return !slices.Contains(p.Sources, source) }
	if slices.ContainsFunc(a.JWTSources, isUnlisted) {
		return denial.New(decision.IssuerUnknown, "API %s: its jwt_source is not in jwtSources of idp %s, in whose name the caller's token was signed", a.ID, p.Alias)
	}
	return nil
}

// mapToken applies the mapping of one provider. report gets which mapped claims are there.
func mapToken(p *settings.IDP, claim func(string) any, report func(name string, found bool)) (identity.Identity, error) {
	var id identity.Identity
	subject, err := mapping.ReadSubject(claim, p.Subject)
	if err != nil {
		return id, denial.New(decision.SubjectUnknown, "subject %s of the caller's token: %w", p.Subject, err)
	}
	if subject == "" {
		return id, denial.New(decision.SubjectUnknown, "claim %s of the caller's token is absent or empty", p.Subject)
	}
	if id.Subject, err = newSubject(p.Alias, subject); err != nil {
		return id, err
	}
	if id.Scopes, err = mapScopes(p, claim, report); err != nil {
		return id, err
	}
	findClaim := func(from string) any { return mapping.FindClaim(claim, from) }
	if id.Claims, err = mapping.MapClaims(p.Claims, findClaim, report); err != nil {
		return id, denial.New(decision.ClaimsInvalid, "%w", err)
	}
	id.AuthTime, _ = mapping.NumericDate(claim("auth_time"))
	// Providers must write exp into what they issue to callers (RFC 9068 section 2.2, OpenID Connect Core
	// section 2).
	var ok bool
	if id.NotAfter, ok = mapping.NumericDate(claim("exp")); !ok {
		return id, denial.New(decision.ClaimsInvalid, "claim exp of the caller's token is absent or not a time")
	}
	return id, nil
}

func mapScopes(p *settings.IDP, claim func(string) any, report func(name string, found bool)) (all []string, err error) {
	found := false
	for _, name := range p.Scopes {
		value := mapping.FindClaim(claim, name)
		found = found || value != nil
		scopes, err := mapping.ReadScopes(value)
		if err != nil {
			return nil, denial.New(decision.ClaimsInvalid, "scope claim %s: %w", name, err)
		}
		all = append(all, scopes...)
	}
	if len(p.Scopes) > 0 {
		report(settings.ScopeClaim, found)
	}
	if err := token.CheckScopes(all); err != nil {
		return nil, denial.New(decision.ClaimsInvalid, "scopes %s: %w", strings.Join(p.Scopes, ", "), err)
	}
	return all, nil
}
