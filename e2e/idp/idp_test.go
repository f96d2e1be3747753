package idp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/idp"
)

// start serves the provider at an address that is known before it is asked for its issuer.
func start(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	handler, err := idp.New(issuer, idp.DemoUsers())
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = handler
	server.Start()
	t.Cleanup(server.Close)
	return issuer
}

// get decodes the JSON document at url.
func get(t *testing.T, url string, into any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
}

func TestTokensVerifyAgainstTheDiscoveredKeys(t *testing.T) {
	issuer := start(t)
	var discovery struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	get(t, issuer+"/.well-known/openid-configuration", &discovery)
	if discovery.Issuer != issuer {
		t.Fatalf("issuer = %q, want %q", discovery.Issuer, issuer)
	}
	var keys jose.JSONWebKeySet
	get(t, discovery.JWKS, &keys)

	for _, user := range idp.DemoUsers() {
		tokens, err := idp.Login(t.Context(), issuer, user.Name)
		if err != nil {
			t.Fatal(err)
		}
		want := claims{Issuer: issuer, Subject: user.Name, Audience: jwt.Audience{idp.ClientID}, Tenant: user.Tenant, Scope: user.Scope}
		for kind, raw := range map[string]string{"access": tokens.Access, "id": tokens.ID} {
			if diff := cmp.Diff(want, verify(t, raw, keys)); diff != "" {
				t.Errorf("%s's %s token (-want +got):\n%s", user.Name, kind, diff)
			}
		}
	}
}

type claims struct {
	Issuer   string       `json:"iss"`
	Subject  string       `json:"sub"`
	Audience jwt.Audience `json:"aud"`
	Tenant   string       `json:"tenant"`
	Scope    string       `json:"scope"`
}

func verify(t *testing.T, raw string, keys jose.JSONWebKeySet) claims {
	t.Helper()
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var got claims
	if err := token.Claims(keys, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestStrangersAreRefused(t *testing.T) {
	issuer := start(t)
	_, err := idp.Login(t.Context(), issuer, "mallory")
	if err == nil || !strings.Contains(err.Error(), `no user "mallory"`) {
		t.Errorf("err = %v, want a refusal that names mallory", err)
	}
}
