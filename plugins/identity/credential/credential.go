// Package credential makes an identity of the credential that has authenticated a caller to Tyk: the
// claims of a JWT, or the session that Tyk keeps.
package credential

import (
	"net"
	"net/http"

	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// Reader reads credentials. It uses the mappings of one configuration.
type Reader struct {
	config *settings.Config
	secret *identity.Pseudonyms // of the claim sid, and of subjects of API keys
	report Report
	claims map[*settings.IDP][]string // that are read of a token of each provider; see [claimsRead]
}

// NewReader returns a reader for a configuration. secret is the key of pseudonyms.
func NewReader(config *settings.Config, secret identity.PseudonymKey, report Report) Reader {
	c := Reader{config: config, secret: identity.NewPseudonyms(secret), report: report, claims: map[*settings.IDP][]string{}}
	for i := range config.IDPs {
		c.claims[&config.IDPs[i]] = claimsRead(&config.IDPs[i])
	}
	return c
}

// Identify gives the identity that this API may pass on. session is nil if no caller was authenticated.
func (c Reader) Identify(a *tykapi.ProtectedAPI, session *user.SessionState, r *http.Request) (id identity.Identity, err error) {
	switch {
	case a.Unsupported != nil:
		return id, denial.New(decision.SessionUnsupported, "API %s: %w", a.ID, a.Unsupported)
	case session == nil:
		return id, denial.New(decision.NoSession, "API %s: no caller was authenticated", a.ID)
	case session.IsInactive:
		return id, denial.New(decision.SessionInactive, "API %s: the key is inactive", a.ID)
	case session.KeyID == "":
		return id, denial.New(decision.SessionUnsupported, "API %s: the session has no key", a.ID)
	}
	s := tykSession{state: session, api: a, r: r, secret: c.secret}
	method := a.MethodOf(session, r)
	if method == tykapi.MethodJWT || method == tykapi.MethodOIDC {
		id, err = c.readToken(a, s)
	} else {
		id, err = readSession(c.config, method, s, c.report)
	}
	if err != nil {
		return id, err
	}
	id.Requester, id.API, id.Org = c.config.Workload, identity.API{ID: a.ID, Name: a.Name}, session.OrgID
	id.Method, id.SessionID, id.IP = string(method), s.pseudonymousID(), clientIP(r)
	return id, nil
}

// clientIP is the address that connected to the gateway. X-Forwarded-For and X-Real-IP, which Tyk
// trusts from anyone, must not end in a signed token.
func clientIP(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return host
}
