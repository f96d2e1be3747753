package tykapi

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/storage"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
)

// SessionOf gives the session of the request; nil: this endpoint has no authentication. Tyk sets the
// request status only for ignored endpoints. In an internal loop such a request may still carry the
// session of the API before.
func (a *ProtectedAPI) SessionOf(r *http.Request) (*user.SessionState, error) {
	switch {
	case r.Context().Value(ctx.RequestStatus) != nil:
		return nil, nil
	case a.Method == MethodMTLS:
		return a.certificateSession(r)
	}
	return ctx.GetSession(r), nil
}

// SessionName is the session's key without the organisation that Tyk writes before it. A client may
// write either form, so only this one is unique.
func (a *ProtectedAPI) SessionName(session *user.SessionState) string {
	key := session.KeyID
	if id, err := storage.TokenID(key); err == nil && storage.TokenOrg(key) == a.Org { // with hash_key_function, the key is JSON in base64
		return id
	}
	return strings.TrimPrefix(key, a.Org)
}

// IsSessionOfUser reports whether Tyk has named the session after this user: Tyk ends the key of a
// session that a JWT or OpenID token opened with the MD5 of the user. The session's alias would not
// do, because the first of the two middlewares that saw the user has set it, in its own form. The
// session of an API key, or of another user, has another name.
func IsSessionOfUser(session *user.SessionState, name string) bool {
	sum := md5.Sum([]byte(name)) // Tyk's choice: it is a name, not a proof
	key := session.KeyID
	if id, err := storage.TokenID(key); err == nil { // with hash_key_function, the key is JSON in base64
		key = id
	}
	return strings.HasSuffix(key, hex.EncodeToString(sum[:]))
}

// Fingerprint is the SHA-256, in hex, of the certificate whose key this connection has proven; "":
// the client has sent no certificate. Only the first certificate is proven: a client can send any other certificates.
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
func (a *ProtectedAPI) MethodOf(session *user.SessionState, r *http.Request) Method {
	proven := Fingerprint(r)
	if a.Method == MethodKey && session.Certificate != "" && proven != "" &&
		strings.HasSuffix(session.Certificate, proven) && strings.HasSuffix(a.SessionName(session), proven) {
		return MethodMTLS
	}
	return a.Method
}

// certificateSession makes a session for an API that asks for nothing but a certificate of its list
// (static mutual TLS), because Tyk makes no session there. Tyk admits a client that sends a listed certificate
// anywhere in its chain; here it must be the proven one.
func (a *ProtectedAPI) certificateSession(r *http.Request) (*user.SessionState, error) {
	proven := Fingerprint(r)
	if proven == "" || !slices.ContainsFunc(a.certificates, func(id string) bool { return strings.HasSuffix(id, proven) }) {
		return nil, denial.New(decision.ClaimsUnbound, "API %s: the connection's own certificate is not in client_certificates", a.ID)
	}
	return &user.SessionState{KeyID: proven, OrgID: a.Org}, nil
}

// Tyk uses the name of any session wherever a method looks one up, and these names are no secret: a
// JWT user's is computed from the user's name, a certificate's from the certificate, a basic
// authentication user's is that name, and an HMAC client sends its key id in clear. The functions
// below say whether the method that asked for a proof is the one that opens the session.

// OpensByAPIKey excludes sessions that another method opens.
func OpensByAPIKey(s *user.SessionState) bool {
	return !opensByJWT(s) && !OpensByPassword(s) && !s.HMACEnabled && !s.EnableHTTPSignatureValidation &&
		s.JWTData.Secret == "" && s.OauthClientID == "" && s.Certificate == ""
}

// opensByJWT reads what Tyk writes into sessions that a JWT or an OpenID token has made.
func opensByJWT(s *user.SessionState) bool {
	_, made := s.MetaData["TykJWTSessionID"]
	return made
}

// OpensByPassword needs a password: in Tyk the empty password opens every session without password.
func OpensByPassword(s *user.SessionState) bool { return s.BasicAuthData.Password != "" }

// OpensBySignature needs a key that verifies HMAC or HTTP signatures.
func OpensBySignature(s *user.SessionState) bool {
	return (s.HMACEnabled || s.EnableHTTPSignatureValidation) && (s.HmacSecret != "" || s.RSACertificateId != "")
}

// OpensByOAuth excludes users of an identity provider whose client has the same id as one of Tyk's
// own clients: their sessions name it too.
func OpensByOAuth(s *user.SessionState) bool { return s.OauthClientID != "" && !opensByJWT(s) }
