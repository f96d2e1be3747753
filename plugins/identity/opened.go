package main

import "github.com/TykTechnologies/tyk/user"

// Tyk takes the name of any session wherever a method looks one up, and these
// names are no secret: a JWT user's is computed from the user's name, a
// certificate's from the certificate, a basic authentication user's is that
// name, an HMAC client's key id is sent in clear. What follows tells whether the
// method that was asked for a proof is the one that opens the session.

// isAPIKey excludes sessions that another method opens.
func isAPIKey(s *user.SessionState) bool {
	return !isJWT(s) && !isBasic(s) && !s.HMACEnabled && !s.EnableHTTPSignatureValidation &&
		s.JWTData.Secret == "" && s.OauthClientID == "" && s.Certificate == ""
}

// isJWT is what Tyk writes into sessions that a JWT or an OpenID token has made.
func isJWT(s *user.SessionState) bool {
	_, made := s.MetaData["TykJWTSessionID"]
	return made
}

// isBasic needs a password: to Tyk the empty one opens any session without.
func isBasic(s *user.SessionState) bool { return s.BasicAuthData.Password != "" }

func isHMAC(s *user.SessionState) bool {
	return (s.HMACEnabled || s.EnableHTTPSignatureValidation) && (s.HmacSecret != "" || s.RSACertificateId != "")
}

// isOAuth excludes users of an identity provider whose client has the same id as
// one of Tyk's own: their sessions name it too.
func isOAuth(s *user.SessionState) bool { return s.OauthClientID != "" && !isJWT(s) }
