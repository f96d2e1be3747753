package tykapi

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/storage"
	"github.com/TykTechnologies/tyk/user"
)

// SessionOf gives the session of the request; nil: this endpoint authenticates nobody. Tyk sets the
// request status only for ignored endpoints. In an internal loop such a request may still carry the
// session of the API before.
func (a *API) SessionOf(r *http.Request) (*user.SessionState, error) {
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
func (a *API) SessionName(session *user.SessionState) string {
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

// OpensByPassword needs a password: in Tyk the empty password opens any session that has none.
func OpensByPassword(s *user.SessionState) bool { return s.BasicAuthData.Password != "" }

// OpensBySignature needs a key with which HMAC or HTTP signatures are verified.
func OpensBySignature(s *user.SessionState) bool {
	return (s.HMACEnabled || s.EnableHTTPSignatureValidation) && (s.HmacSecret != "" || s.RSACertificateId != "")
}

// OpensByOAuth excludes users of an identity provider whose client has the same id as one of Tyk's
// own clients: their sessions name it too.
func OpensByOAuth(s *user.SessionState) bool { return s.OauthClientID != "" && !opensByJWT(s) }
