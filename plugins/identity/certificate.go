package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/TykTechnologies/tyk/apidef"
	tykconfig "github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
)

// fingerprint is the SHA-256 of the certificate whose key this connection has
// proven, in hex; "": none. Only the first certificate is proven: whatever else a
// client sends may be anybody's.
func fingerprint(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:])
}

func (c caller) fingerprint() string { return fingerprint(c.r) }

// openedBy finds the sessions that a certificate opens among those of APIs with
// keys. To Tyk their names, which anybody who has seen the certificate can
// compute, are keys as well.
func (a *api) openedBy(session *user.SessionState, r *http.Request) method {
	proven := fingerprint(r)
	if a.method == methodKey && session.Certificate != "" && proven != "" &&
		strings.HasSuffix(session.Certificate, proven) && strings.HasSuffix(caller{api: a, session: session}.name(), proven) {
		return methodMTLS
	}
	return a.method
}

// ofCertificate stands in for the session that there is none of where an API asks
// for nothing but a certificate of its list (static mutual TLS). Tyk lets in who
// sends a listed certificate anywhere in the chain; here it must be the proven one.
func (a *api) ofCertificate(r *http.Request) (*user.SessionState, error) {
	proven := fingerprint(r)
	if proven == "" || !slices.ContainsFunc(a.certificates, func(id string) bool { return strings.HasSuffix(id, proven) }) {
		return nil, refuse(decision.ClaimsUnbound, "API %s: the connection's own certificate is not in client_certificates", a.ID)
	}
	return &user.SessionState{KeyID: proven, OrgID: a.org}, nil
}

// certificatesOf are the ids of certificates that the API admits: the
// organisation and the fingerprint. One of an authority, or of a file, names no client.
func certificatesOf(d *apidef.APIDefinition) []string {
	return append(slices.Clone(d.ClientCertificates), tykconfig.Global().Security.Certificates.API...)
}
