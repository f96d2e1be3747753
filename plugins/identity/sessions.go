package main

import (
	"net/http"
	"strings"
	"time"

	"github.com/TykTechnologies/tyk/storage"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// metaPrefix names a field of a session's metadata.
const metaPrefix = "meta."

// kind is a method whose sessions hold no verified claims: who the caller is
// stands in what Tyk keeps with the session.
type kind struct {
	block     string                        // of the configuration
	namespace string                        // of its subjects
	own       string                        // the subject that needs no metadata, under its name in the block
	id        func(c caller) string         // of that name; "": there is none
	opened    func(*user.SessionState) bool // whether the method has opened the session; nil: nothing tells
	rules     func(*config) *sessionMapping
}

// caller is a session and what its subject may be made of.
type caller struct {
	*signer
	api     *api
	session *user.SessionState
	r       *http.Request
}

var kinds = map[method]kind{
	methodKey: {"apiKeys", "key", "hmac", caller.pseudonymOfKey, isAPIKey, func(c *config) *sessionMapping { return c.APIKeys }},
	methodOAuth: {"oauth", "oauth", "client", func(c caller) string { return c.session.OauthClientID }, isOAuth,
		func(c *config) *sessionMapping { return c.OAuth }},
	methodBasic:  {"basic", "basic", "username", caller.name, isBasic, func(c *config) *sessionMapping { return c.Basic }},
	methodHMAC:   {"hmac", "hmac", "keyId", caller.name, isHMAC, func(c *config) *sessionMapping { return c.HMAC }},
	methodMTLS:   {"mtls", "mtls", "fingerprint", caller.fingerprint, nil, func(c *config) *sessionMapping { return c.MTLS }},
	methodCustom: {"custom", "custom", "hmac", caller.pseudonymOfKey, nil, func(c *config) *sessionMapping { return c.Custom }},
}

// fromSession reads who the caller is from the session. The key is the caller's
// secret, or as good as one, and never leaves; Alias is free text that need not be
// unique, and is never a subject.
func (s *signer) fromSession(m method, c caller) (id identity.Identity, err error) {
	k := kinds[m]
	rules := k.rules(s.config)
	if rules == nil {
		return id, refuse(decision.SessionUnsupported, "API %s: the configuration has no %s: add it, or take the plugin off this API", c.api.ID, k.block)
	}
	if k.opened != nil && !k.opened(c.session) {
		return id, refuse(decision.ClaimsUnbound, "API %s: another method opens the session of this name, and its proof was not given", c.api.ID)
	}
	if id.Subject, err = k.subject(rules, c); err != nil {
		return id, err
	}
	if id.Claims, err = mapClaims(rules.Claims, c.metadata, s.foundIn(k.block)); err != nil {
		return id, err
	}
	for _, policy := range c.session.PolicyIDs() {
		id.Scopes = append(id.Scopes, rules.Scopes.ByPolicy[policy]...)
	}
	id.NotAfter = c.notAfter(m)
	return id, nil
}

// metadata reads meta.NAME; NAME may be a path into objects, as with claims.
func (c caller) metadata(name string) any {
	return lookup(func(field string) any { return c.session.MetaData[field] }, strings.TrimPrefix(name, metaPrefix))
}

// notAfter is the end of the session or of the certificate that opened it,
// whichever is first; zero: neither ends.
func (c caller) notAfter(m method) (end time.Time) {
	if c.session.Expires > 0 {
		end = time.Unix(c.session.Expires, 0)
	}
	if m == methodMTLS {
		if certificate := c.r.TLS.PeerCertificates[0].NotAfter; end.IsZero() || certificate.Before(end) {
			end = certificate
		}
	}
	return end
}

// subject is a field of the metadata, or what the method itself knows.
func (k kind) subject(rules *sessionMapping, c caller) (identity.Subject, error) {
	var id string
	if rules.Subject == k.own {
		id = k.id(c)
	} else {
		id, _ = c.metadata(rules.Subject).(string)
	}
	if id == "" {
		return identity.Subject{}, refuse(decision.SubjectUnknown, "%s.subject: %s is absent, empty or not a text", k.block, rules.Subject)
	}
	return subjectNamed(k.namespace, id)
}

// sid names the session for revocation. The key of an HMAC client stands there as
// the client has written it.
func (c caller) sid() string {
	if c.api.method == methodHMAC {
		return c.secret.Pseudonym(c.api.org + c.name())
	}
	return c.secret.Pseudonym(c.session.KeyID)
}

func (c caller) pseudonymOfKey() string { return c.secret.Pseudonym(c.session.KeyID) }

// name is the session's key without the organisation that Tyk puts before it. A
// client may write either form, so only this one is unique.
func (c caller) name() string {
	key := c.session.KeyID
	if id, err := storage.TokenID(key); err == nil && storage.TokenOrg(key) == c.api.org { // with hash_key_function, the key is JSON in base64
		return id
	}
	return strings.TrimPrefix(key, c.api.org)
}
