package localcopy

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"
)

// provider is the substitute for all OpenID providers: discovery, a key set, and tokens with any claims. It has no login: the rehearsal
// file lists its users.
type provider struct {
	address string
	key     *rsa.PrivateKey
}

const (
	tokenLifetime = 2 * time.Hour // longer than any rehearsal
	providerKeyID = "rehearsal"
)

func newProvider(address string) (*provider, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048) // every version of Tyk verifies RS256
	return &provider{address, key}, err
}

// ServeHTTP answers /ALIAS/keys and /ALIAS/.well-known/openid-configuration.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	alias, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	issuer := "http://" + p.address + "/" + alias
	var answer any
	switch rest {
	case "keys":
		answer = object{"keys": []any{object{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": providerKeyID, "e": "AQAB",
			"n": base64.RawURLEncoding.EncodeToString(p.key.N.Bytes()),
		}}}
	case ".well-known/openid-configuration":
		answer = object{
			"issuer": issuer, "jwks_uri": issuer + "/keys", "authorization_endpoint": issuer + "/none", "token_endpoint": issuer + "/none",
			"response_types_supported": []any{"code"}, "subject_types_supported": []any{"public"}, "id_token_signing_alg_values_supported": []any{"RS256"},
		}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the gateway has gone
}

// mintToken signs a token of an identity provider with these claims.
func (p *provider) mintToken(idp identityProvider, claims map[string]any) (string, error) {
	now := time.Now()
	all := object{"aud": idp.audience}
	maps.Copy(all, claims)
	all["iss"], all["iat"], all["exp"] = idp.localIssuer, now.Unix(), now.Add(tokenLifetime).Unix()
	body, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	fields := object{"alg": "RS256", "kid": providerKeyID}
	if idp.kind != "" {
		fields["typ"] = idp.kind
	}
	header, _ := json.Marshal(fields) // always valid
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), err
}
