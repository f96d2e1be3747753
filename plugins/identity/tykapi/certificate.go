package tykapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/TykTechnologies/tyk/apidef"
	tykconfig "github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
)

// Fingerprint is the SHA-256, in hex, of the certificate whose key this connection has proven; "":
// there is none. Only the first certificate is proven: a client can send other certificates of anybody.
func Fingerprint(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return ""
	}
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	return hex.EncodeToString(sum[:])
}

// MethodOf gives the method that has opened the session: in an API with keys it may be a certificate.
// Tyk accepts the names of such sessions, which anyone who has seen the certificate can compute, as
// keys too.
func (a *API) MethodOf(session *user.SessionState, r *http.Request) Method {
	proven := Fingerprint(r)
	if a.Method == MethodKey && session.Certificate != "" && proven != "" &&
		strings.HasSuffix(session.Certificate, proven) && strings.HasSuffix(a.SessionName(session), proven) {
		return MethodMTLS
	}
	return a.Method
}

// certificateSession makes a session for an API that asks for nothing but a certificate of its list
// (static mutual TLS), where Tyk makes none. Tyk admits a client that sends a listed certificate
// anywhere in its chain; here it must be the proven one.
func (a *API) certificateSession(r *http.Request) (*user.SessionState, error) {
	proven := Fingerprint(r)
	if proven == "" || !slices.ContainsFunc(a.certificates, func(id string) bool { return strings.HasSuffix(id, proven) }) {
		return nil, denial.New(decision.ClaimsUnbound, "API %s: the connection's own certificate is not in client_certificates", a.ID)
	}
	return &user.SessionState{KeyID: proven, OrgID: a.Org}, nil
}

// certificatesOf are the ids of certificates that the API admits: the organisation and the
// fingerprint. The id of an authority, or of a file, names no client.
func certificatesOf(d *apidef.APIDefinition) []string {
	return append(slices.Clone(d.ClientCertificates), tykconfig.Global().Security.Certificates.API...)
}
