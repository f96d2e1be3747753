package gateway_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// madeIssuer is an identity provider of this process: its tokens say whatever a test wants.
const madeIssuer = "https://made.example.com"

// madeSecret signs its tokens.
const madeSecret = "a secret for tests, of thirty-two bytes"

// made is a token with these claims, beside issuer, audience and end, and these fields in its header.
func made(t *testing.T, secret string, header, claims map[string]any) string {
	t.Helper()
	whole := map[string]any{"iss": madeIssuer, "aud": "shop", "exp": time.Now().Add(time.Hour).Unix()}
	merge(whole, claims)
	jose := map[string]any{"alg": "HS256", "typ": "JWT"}
	merge(jose, header)
	var parts []string
	for _, part := range []map[string]any{jose, whole} {
		data, err := json.Marshal(part)
		must(t, err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
	}
	input := strings.Join(parts, ".")
	return input + "." + base64.RawURLEncoding.EncodeToString(mac(secret, input))
}

func mac(secret, text string) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// sessionOf is the name that Tyk gives the session of a JWT or OpenID user: anybody can compute it.
func sessionOf(user string) string {
	sum := md5.Sum([]byte(user))
	return hex.EncodeToString(sum[:])
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func basic(name, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))}}
}

// signature is an HMAC client's, over the date.
func signature(keyID, secret string) http.Header {
	date := time.Now().UTC().Format(http.TimeFormat)
	signed := base64.StdEncoding.EncodeToString(mac(secret, "date: "+date))
	return http.Header{"Date": {date}, "Authorization": {fmt.Sprintf(`Signature keyId=%q,algorithm="hmac-sha256",signature=%q`, keyID, url.QueryEscape(signed))}}
}

// create makes a key, a user or a client by the control API; session is what is particular about it.
func (r *rig) create(t *testing.T, path, session string) map[string]any {
	t.Helper()
	whole := parse(t, `{"org_id": "demo", "apply_policies": ["all"]}`)
	merge(whole, parse(t, session))
	data, err := json.Marshal(whole)
	must(t, err)
	status, body, err := r.control(t.Context(), http.MethodPost, path, string(data))
	must(t, err)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", path, status, body)
	}
	return parse(t, string(body))
}

// oauthToken is what a client gets for its own secret.
func (r *rig) oauthToken(t *testing.T, api, client, secret string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/"+api+"/oauth/token/", strings.NewReader("grant_type=client_credentials"))
	must(t, err)
	request.Header = basic(client, secret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := anybody.Do(request)
	must(t, err)
	defer response.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	must(t, json.NewDecoder(response.Body).Decode(&answer))
	if answer.Token == "" {
		t.Fatalf("%s gets no token: %d", client, response.StatusCode)
	}
	return answer.Token
}
