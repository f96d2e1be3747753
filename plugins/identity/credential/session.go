package credential

import (
	"net/http"
	"strings"
	"time"

	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/internal/gateway/mapping"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// sessionReader reads the sessions of one method, which contain no verified claims: the fields that Tyk
// keeps with the session describe the caller.
type sessionReader struct {
	kind       settings.SessionKind
	ownSubject func(tykSession) string       // the subject that needs no metadata; "": the session has no such subject
	opens      func(*user.SessionState) bool // whether the method has opened the session
}

var sessionReaders = map[tykapi.Method]sessionReader{
	tykapi.MethodKey: {
		kind:       settings.APIKeySessions,
		ownSubject: tykSession.keyPseudonym,
		opens:      tykapi.OpensByAPIKey,
	},
	tykapi.MethodOAuth: {
		kind:       settings.OAuthSessions,
		ownSubject: func(s tykSession) string { return s.state.OauthClientID },
		opens:      tykapi.OpensByOAuth,
	},
	tykapi.MethodBasic: {
		kind:       settings.BasicSessions,
		ownSubject: tykSession.sessionName,
		opens:      tykapi.OpensByPassword,
	},
	tykapi.MethodHMAC: {
		kind:       settings.HMACSessions,
		ownSubject: tykSession.sessionName,
		opens:      tykapi.OpensBySignature,
	},
	tykapi.MethodMTLS: {
		kind:       settings.MTLSSessions,
		ownSubject: func(s tykSession) string { return tykapi.Fingerprint(s.r) },
		opens:      hasNoMark,
	},
	tykapi.MethodCustom: {
		kind:       settings.CustomSessions,
		ownSubject: tykSession.keyPseudonym,
		opens:      hasNoMark,
	},
}

// hasNoMark is for methods that leave no mark in the sessions that they open. A certificate is compared
// with the connection's by [tykapi.ProtectedAPI.MethodOf] and [tykapi.ProtectedAPI.SessionOf]; an authentication plugin
// makes the session itself.
func hasNoMark(*user.SessionState) bool { return true }

// readSession reads the caller's identity from the session. The key is the caller's secret, or equal to
// one, and is never written anywhere. Alias is free text that need not be unique, and is never a
// subject.
func readSession(c *settings.Config, m tykapi.Method, s tykSession, report Report) (id identity.Identity, err error) {
	reader := sessionReaders[m]
	rules := c.SessionMapping(reader.kind)
	if rules == nil {
		return id, denial.New(decision.SessionUnsupported, "API %s: the configuration has no %s: add it, or take the plugin off this API", s.api.ID, reader.kind.Block)
	}
	if !reader.opens(s.state) {
		return id, denial.New(decision.ClaimsUnbound, "API %s: another method opens the session of this name, and its proof was not given", s.api.ID)
	}
	if id.Subject, err = reader.readSubject(rules, s); err != nil {
		return id, err
	}
	if id.Claims, err = mapping.MapClaims(rules.Claims, s.readMetadata, report.forMapping(reader.kind.Block)); err != nil {
		return id, denial.New(decision.ClaimsInvalid, "%w", err)
	}
	for _, policy := range s.state.PolicyIDs() {
		id.Scopes = append(id.Scopes, rules.Scopes.ByPolicy[policy]...)
	}
	id.NotAfter = s.notAfter(m)
	return id, nil
}

// readSubject reads a field of the metadata, or what the method itself knows of the caller.
func (k sessionReader) readSubject(rules *settings.SessionMapping, s tykSession) (identity.Subject, error) {
	var id string
	if rules.Subject == k.kind.OwnSubject {
		id = k.ownSubject(s)
	} else {
		id, _ = s.readMetadata(rules.Subject).(string)
	}
	if id == "" {
		return identity.Subject{}, denial.New(decision.SubjectUnknown, "%s.subject: %s is absent, empty or not a text", k.kind.Block, rules.Subject)
	}
	return newSubject(k.kind.Namespace, id)
}

// tykSession is a session, and what its subject may be made of.
type tykSession struct {
	state  *user.SessionState
	api    *tykapi.ProtectedAPI
	r      *http.Request
	secret *identity.Pseudonyms
}

// readMetadata reads meta.NAME; NAME may be a path into objects, as with claims.
func (s tykSession) readMetadata(name string) any {
	return mapping.FindClaim(func(field string) any { return s.state.MetaData[field] }, strings.TrimPrefix(name, settings.MetaPrefix))
}

// notAfter is the end of the session, or of the certificate that opened it if that is earlier; zero:
// neither ends.
func (s tykSession) notAfter(m tykapi.Method) (end time.Time) {
	if s.state.Expires > 0 {
		end = time.Unix(s.state.Expires, 0)
	}
	if m == tykapi.MethodMTLS {
		if certificate := s.r.TLS.PeerCertificates[0].NotAfter; end.IsZero() || certificate.Before(end) {
			end = certificate
		}
	}
	return end
}

// pseudonymousID names the session for revocation. The key of an HMAC client contains its key id as the client has
// written it, so the session's name is used there.
func (s tykSession) pseudonymousID() string {
	if s.api.Method == tykapi.MethodHMAC {
		return s.secret.Pseudonym(s.api.Org + s.sessionName())
	}
	return s.keyPseudonym()
}

func (s tykSession) keyPseudonym() string { return s.secret.Pseudonym(s.state.KeyID) }

func (s tykSession) sessionName() string { return s.api.SessionName(s.state) }

// Report gets, for each line of a mapping, whether a credential had the mapped claim.
type Report func(mapping, claim string, found bool)

// forMapping reports the lines of one mapping.
func (report Report) forMapping(mapping string) func(claim string, found bool) {
	return func(claim string, found bool) { report(mapping, claim, found) }
}

// newSubject denies a name that no token can carry. The caller's credential gives it.
func newSubject(namespace, id string) (identity.Subject, error) {
	subject := identity.Subject{Namespace: namespace, ID: id}
	if err := token.CheckSubject(subject); err != nil {
		return identity.Subject{}, denial.New(decision.ClaimsInvalid, "the subject that the caller's credential names: %w", err)
	}
	return subject, nil
}
