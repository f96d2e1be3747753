package main

import (
	"strings"
	"time"

	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

const (
	keyNamespace = "key"   // of subjects that API keys stand for
	metaPrefix   = "meta." // names a field of a key's metadata
	subjectHMAC  = "hmac"  // a pseudonym of the key id
)

// fromKey reads who the caller is from the session of an API key. The key itself
// is the caller's secret and never leaves; Alias is free text that need not be
// unique, and is never a subject.
func (s *signer) fromKey(session *user.SessionState) (identity.Identity, error) {
	var id identity.Identity
	rules := s.config.APIKeys
	if rules == nil {
		return id, refuse(decision.SessionUnsupported, "the configuration has no apiKeys: add it, or take the plugin off APIs with API keys")
	}
	if !isAPIKey(session) {
		return id, refuse(decision.ClaimsUnbound, "the API key is the name of a session that another method opens")
	}
	var err error
	if id.Subject, err = s.keySubject(session); err != nil {
		return id, err
	}
	id.Claims, err = mapClaims(rules.Claims, func(from string) any {
		return session.MetaData[strings.TrimPrefix(from, metaPrefix)]
	})
	for _, policy := range session.PolicyIDs() {
		id.Scopes = append(id.Scopes, rules.Scopes.ByPolicy[policy]...)
	}
	if session.Expires > 0 {
		id.NotAfter = time.Unix(session.Expires, 0)
	}
	return id, err
}

// keySubject is a field that survives the key's renewal, or a pseudonym that
// does not.
func (s *signer) keySubject(session *user.SessionState) (identity.Subject, error) {
	if s.config.APIKeys.Subject == subjectHMAC {
		return identity.Subject{Namespace: keyNamespace, ID: s.pseudonym(session.KeyID)}, nil
	}
	field := strings.TrimPrefix(s.config.APIKeys.Subject, metaPrefix)
	id, _ := session.MetaData[field].(string)
	if id == "" {
		return identity.Subject{}, refuse(decision.SubjectUnknown, "%s of the API key is absent, empty or not a text", field)
	}
	return identity.Subject{Namespace: keyNamespace, ID: id}, nil
}

// isAPIKey excludes sessions that another method opens, with a proof that was not
// given here. Tyk takes the name of any session for an API key, and these names
// are no secret: a JWT user's is computed from the user's name, a basic
// authentication user's is that name, an HMAC client's key id is sent in clear.
func isAPIKey(session *user.SessionState) bool {
	_, jwt := session.MetaData["TykJWTSessionID"]
	basic := session.BasicAuthData.Password != ""
	hmac := session.HMACEnabled || session.EnableHTTPSignatureValidation
	return !jwt && !basic && !hmac && session.JWTData.Secret == ""
}
