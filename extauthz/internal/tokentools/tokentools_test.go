package tokentools_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestInspect(t *testing.T) {
	raw := tokentest.ValidToken(t, noon.Add(-90*time.Second))
	inspection, err := tokentools.Inspect(raw, noon)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := inspection.Print(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, part := range []string{
		"NOT VERIFIED: ", `"typ": "txntoken+jwt"`, `"sub": "idp:alice"`,
		"iat  2026-06-01T11:58:30Z  1m30s ago\nexp  2026-06-01T11:59:30Z  30s ago\n", " bytes, 64 of signature\n",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if signature := raw[strings.LastIndexByte(raw, '.')+1:]; strings.Contains(text, signature) {
		t.Error("the signature is printed")
	}
}

// Inspect is used for rejected tokens, so it shows what is wrong with them.
func TestInspectShowsWhatIsWrong(t *testing.T) {
	inspection, err := tokentools.Inspect(encode(`{"alg":"none"}`)+"."+encode(`{"sub":"a","sub":"<b>\u009b2J`+"\u009b\u202e\U000e0041"+`","exp":1e99}`)+".", noon)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printer.JSON(&out, inspection); err != nil {
		t.Fatal(err)
	}
	want := `{
  "verified": false,
  "header": {
    "alg": "none"
  },
  "claims": {
    "sub": "a",
    "sub": "<b>\u009b2J\u009b\u202e\udb40\udc41",
    "exp": 1e99
  },
  "bytes": 89,
  "signatureBytes": 0
}
`
	if out.String() != want || !json.Valid(out.Bytes()) {
		t.Errorf("got %s\nwant %s", &out, want)
	}
}

func TestInspectSaysNo(t *testing.T) {
	secret := "c2VjcmV0"
	for _, raw := range []string{"", secret, secret + "." + secret, secret + ".e30." + secret, "e30." + secret + "." + secret, "e30.e30." + secret + "." + secret, "!.e30." + secret} {
		_, err := tokentools.Inspect(raw, noon)
		if !errors.Is(err, tokentools.ErrNoToken) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v", raw, err)
		}
	}
}

// Every forgery gets the rule number and the reason of the docs, and no token is repeated.
func TestVerifyNamesTheRule(t *testing.T) {
	v, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t)}, tokentest.Domains, token.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, forgery := range tokentest.ForgedTokens(t, noon) {
		verdict := tokentools.Verify(v, forgery.Raw)
		if verdict.Accepted || verdict.Reason != forgery.Reason || verdict.Rule == 0 || verdict.Detail == "" {
			t.Errorf("%s: got %+v", forgery.Name, verdict)
		}
		if len(forgery.Raw) > 20 && strings.Contains(verdict.Detail, forgery.Raw) {
			t.Errorf("%s: the token is repeated", forgery.Name)
		}
	}
	var out bytes.Buffer
	if err := tokentools.Verify(v, tokentest.ValidToken(t, noon)).Print(&out); err != nil {
		t.Fatal(err)
	}
	want := "accepted: idp:alice, issued by https://tyk.test.meshpass.dev\n" +
		"scope \"orders.read\", transaction 0197a1b2-0000-7000-8000-000000000001, until 2026-06-01T12:01:00Z\n"
	if out.String() != want {
		t.Errorf("got %s", &out)
	}
}

func order(dir string) tokentools.MintRequest {
	return tokentools.MintRequest{
		KeyDir: dir, Issuer: tokentest.Issuer, Audience: tokentest.Audience, Subject: "idp:alice", Workload: tokentest.Requester,
		Scope: "orders.read orders.write", Claims: `{"tenant":"acme","limit":12345678901234567}`, Lifetime: time.Minute, Now: clock,
	}
}

func testKeys(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if _, err := keys.AddKey(keys.KeyRequest{Dir: dir, Algorithm: keyset.EdDSA, Lead: time.Second, Lifetime: time.Hour, First: true, Test: true, Now: noon}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMint(t *testing.T) {
	dir := testKeys(t)
	minted, err := tokentools.Mint(order(dir))
	if err != nil {
		t.Fatal(err)
	}
	signing, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	trust := tokentest.TrustEntry(t)
	trust.Keys, trust.Algorithms = keyset.PublicKeysOf(signing.Keys()[0]), []string{keyset.EdDSA}
	for allow, want := range map[bool]decision.Reason{false: decision.TestToken, true: ""} {
		v, err := token.NewVerifier([]token.Trust{trust}, identity.TrustDomains{Local: "cluster.local"}, token.Options{AllowTest: allow, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		if verdict := tokentools.Verify(v, minted.Token); verdict.Reason != want || verdict.Accepted != allow {
			t.Errorf("admitted %v: got %+v", allow, verdict)
		}
		if claims, err := v.Verify(minted.Token); err == nil && (claims.Tctx["limit"] != int64(12345678901234567) || claims.Scope != "orders.read orders.write") {
			t.Errorf("got %+v", claims)
		}
	}
}

func TestMintRefuses(t *testing.T) {
	tests, production := testKeys(t), tokentest.NewKeyDir(t)
	for _, row := range []struct {
		name, dir string
		change    func(*tokentools.MintRequest)
		no        bool
		want      string
	}{
		{"production keys", production, nil, true, "not marked for tests"},
		{"no keys", t.TempDir(), nil, false, "keys.yaml"},
		{"a subject without namespace", tests, func(o *tokentools.MintRequest) { o.Subject = "alice" }, false, "want NAMESPACE:ID"},
		{"a long life", tests, func(o *tokentools.MintRequest) { o.Lifetime = time.Hour }, false, "lifetime 1h0m0s"},
		{"no audience", tests, func(o *tokentools.MintRequest) { o.Audience = "cluster.local" }, false, "globally unique"},
		{"claims that are no object", tests, func(o *tokentools.MintRequest) { o.Claims = "[1]" }, false, "want one JSON object"},
		{"two objects", tests, func(o *tokentools.MintRequest) { o.Claims = "{}{}" }, false, "want one JSON object"},
		{"a reserved claim", tests, func(o *tokentools.MintRequest) { o.Claims = `{"sid":"x"}` }, false, "the name is reserved"},
		{"no SPIFFE id", tests, func(o *tokentools.MintRequest) { o.Workload = "tyk" }, false, "not a SPIFFE id"},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := order(row.dir)
			if row.change != nil {
				row.change(&o)
			}
			minted, err := tokentools.Mint(o)
			if err == nil || minted.Token != "" || errors.Is(err, tokentools.ErrNoToken) != row.no || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %+v, %v", minted, err)
			}
		})
	}
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{"a.b.c": "a.b.c", "a.b.c\n": "a.b.c", "a.b.c\r\n": "a.b.c", " a.b.c\n\n": " a.b.c\n"} {
		if got, err := tokentools.ReadToken(strings.NewReader(text)); err != nil || got != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	if _, err := tokentools.ReadToken(strings.NewReader(strings.Repeat("a", 2<<20))); err == nil {
		t.Error("endless input is read")
	}
}
