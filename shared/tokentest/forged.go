package tokentest

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

// Forgery is a token that must be refused, and for which reason.
type Forgery struct {
	Name   string
	Raw    string
	Reason decision.Reason
}

// Forged is the catalogue: tokens that are wrong in one thing each, for every
// entry point through which a token can come.
func Forged(t testing.TB, now time.Time) []Forgery {
	t.Helper()
	list := forgedText(t, now)
	list = append(list, forgedHeaders(t, now)...)
	list = append(list, forgedClaims(t, now)...)
	return append(list, forgedSignatures(t, now)...)
}

func forgedText(t testing.TB, now time.Time) []Forgery {
	valid := Valid(t, now)
	part := strings.Split(valid, ".")
	header, claims, signature := part[0], part[1], part[2]
	text := mustJSON(t, ValidParts(t, now).Header)
	body := mustJSON(t, ValidParts(t, now).Claims)
	return []Forgery{
		{"longer than the cap", strings.Repeat("a", 1<<20), decision.TokenTooLarge},
		{"two tokens joined by a comma", valid + "," + valid, decision.TokenCharset},
		{"a scheme", "Bearer " + valid, decision.TokenCharset},
		{"not ASCII", valid + "é", decision.TokenCharset},
		{"a byte that Envoy replaced", valid + "!", decision.TokenCharset},
		{"a line break", valid + "\n", decision.TokenCharset},
		{"padding", header + "=." + claims + "." + signature, decision.TokenCharset},
		{"JSON serialization", `{"payload":"x"}`, decision.TokenCharset},
		{"one part", header, decision.TokenFormat},
		{"two parts", header + "." + claims, decision.TokenFormat},
		{"four parts", valid + ".x", decision.TokenFormat},
		{"five parts, as JWE", valid + ".x.y", decision.TokenFormat},
		{"no signature", header + "." + claims + ".", decision.TokenFormat},
		{"no claims", header + ".." + signature, decision.TokenFormat},
		{"nothing but dots", "..", decision.TokenFormat},
		{"trailing bits", header + "." + claims + "." + trailingBits(signature), decision.TokenBase64},
		{"impossible length", header + "." + claims + ".abcde", decision.TokenBase64},
		{"claims are no JSON", SignText(t, text, "hello"), decision.TokenJSON},
		{"claims are a list", SignText(t, text, "[]"), decision.TokenJSON},
		{"claims end early", SignText(t, text, body[:len(body)-1]), decision.TokenJSON},
		{"something follows the claims", SignText(t, text, body+"{}"), decision.TokenJSON},
		{"a claim twice", SignText(t, text, `{"sub":"idp:eve",`+body[1:]), decision.TokenJSON},
		{"a member of tctx twice", SignText(t, text, strings.Replace(body, `"tctx":{`, `"tctx":{"tenant":"other",`, 1)), decision.TokenJSON},
		{"a header parameter twice", SignText(t, `{"alg":"ES256",`+text[1:], body), decision.TokenJSON},
		{"not UTF-8", SignText(t, text, strings.Replace(body, "acme", "ac\xff", 1)), decision.TokenJSON},
		{"too deep", SignText(t, text, strings.Replace(body, `"acme"`, strings.Repeat("[", 100)+strings.Repeat("]", 100), 1)), decision.TokenJSON},
		{"a number out of range", SignText(t, text, strings.Replace(body, `"acme"`, "1e999", 1)), decision.TokenJSON},
	}
}

// trailingBits changes bits that a lenient decoder ignores: the text differs,
// the decoded signature does not.
func trailingBits(signature string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(signature) - 1
	i := strings.IndexByte(alphabet, signature[last])
	return signature[:last] + string(alphabet[i^1])
}

func forgedHeaders(t testing.TB, now time.Time) []Forgery {
	with := func(name string, value any) string {
		p := ValidParts(t, now)
		p.Header[name] = value
		return p.Sign(t)
	}
	without := func(name string) string {
		p := ValidParts(t, now)
		delete(p.Header, name)
		return p.Sign(t)
	}
	return []Forgery{
		{"typ JWT", with("typ", "JWT"), decision.TypeMismatch},
		{"typ of an access token", with("typ", "at+jwt"), decision.TypeMismatch},
		{"typ of an older draft", with("typ", "txn_token"), decision.TypeMismatch},
		{"no typ", without("typ"), decision.TypeMismatch},
		{"typ is a number", with("typ", 1), decision.TypeMismatch},
		{"crit", with("crit", []string{"exp"}), decision.HeaderCritical},
		{"crit, empty", with("crit", []string{}), decision.HeaderCritical},
		{"b64", with("b64", true), decision.HeaderCritical},
		{"zip", with("zip", "DEF"), decision.HeaderCritical},
		{"jku", with("jku", "https://evil.example/jwks"), decision.HeaderKeySource},
		{"jwk", with("jwk", map[string]any{"kty": "EC"}), decision.HeaderKeySource},
		{"x5u", with("x5u", "https://evil.example/x5u"), decision.HeaderKeySource},
		{"x5c", with("x5c", []string{"MIIB"}), decision.HeaderKeySource},
		{"nested", with("cty", "JWT"), decision.HeaderNested},
		{"no kid", without("kid"), decision.KeyIDMissing},
		{"a long kid", with("kid", strings.Repeat("k", 65)), decision.KeyIDMissing},
		{"a path as kid", with("kid", "../../etc/passwd"), decision.KeyUnknown},
		{"alg none", with("alg", "none"), decision.AlgorithmRefused},
		{"alg None", with("alg", "None"), decision.AlgorithmRefused},
		{"alg HS256", with("alg", "HS256"), decision.AlgorithmRefused},
		{"alg in lower case", with("alg", "es256"), decision.AlgorithmRefused},
		{"no alg", without("alg"), decision.AlgorithmRefused},
		{"alg of another key", with("alg", "RS256"), decision.AlgorithmRefused},
	}
}

func forgedClaims(t testing.TB, now time.Time) []Forgery {
	with := func(changes map[string]any) string {
		p := ValidParts(t, now)
		maps.Copy(p.Claims, changes)
		maps.DeleteFunc(p.Claims, func(_ string, v any) bool { return v == nil })
		return p.Sign(t)
	}
	one := func(name string, value any) string { return with(map[string]any{name: value}) }
	unix := now.Unix()
	return []Forgery{
		{"another issuer", one("iss", "https://evil.example"), decision.IssuerUnknown},
		{"no issuer", one("iss", nil), decision.IssuerUnknown},
		{"another audience", one("aud", "prod.example.com"), decision.AudienceMismatch},
		{"our audience among others", one("aud", []string{Audience, "other"}), decision.AudienceMismatch},
		{"no audience", one("aud", nil), decision.AudienceMismatch},
		{"an empty list of audiences", one("aud", []string{}), decision.AudienceMismatch},
		{"no exp", one("exp", nil), decision.TimeInvalid},
		{"exp 0", one("exp", 0), decision.TimeInvalid},
		{"exp is a text", one("exp", "9999999999"), decision.TimeInvalid},
		{"exp has a fraction", one("exp", float64(unix)+60.5), decision.TimeInvalid},
		{"exp before iat", one("exp", unix-1), decision.TimeInvalid},
		{"no iat", one("iat", nil), decision.TimeInvalid},
		{"iat negative", one("iat", -1), decision.TimeInvalid},
		{"nbf is a text", one("nbf", "now"), decision.TimeInvalid},
		{"expired", with(map[string]any{"iat": unix - 66, "exp": unix - 6}), decision.TokenExpired},
		{"expired as of the leeway", with(map[string]any{"iat": unix - 65, "exp": unix - 5}), decision.TokenExpired},
		{"issued in the future", with(map[string]any{"iat": unix + 6, "exp": unix + 66}), decision.TokenNotYetValid},
		{"nbf in the future", one("nbf", unix+6), decision.TokenNotYetValid},
		{"lives too long", one("exp", unix+301), decision.LifetimeTooLong},
		{"no sub", one("sub", nil), decision.ClaimsInvalid},
		{"sub is empty", one("sub", ""), decision.ClaimsInvalid},
		{"sub without a namespace", one("sub", "alice"), decision.ClaimsInvalid},
		{"sub is a number", one("sub", 7), decision.ClaimsInvalid},
		{"a long sub", one("sub", "idp:"+strings.Repeat("a", 4096)), decision.ClaimsInvalid},
		{"no txn", one("txn", nil), decision.ClaimsInvalid},
		{"a line break in txn", one("txn", "1\r\nset-cookie: a=b"), decision.ClaimsInvalid},
		{"no req_wl", one("req_wl", nil), decision.ClaimsInvalid},
		{"req_wl is a DNS name", one("req_wl", "tyk.edge.svc"), decision.ClaimsInvalid},
		{"no scope", one("scope", nil), decision.ClaimsInvalid},
		{"scope is a list", one("scope", []string{"orders.read"}), decision.ClaimsInvalid},
		{"tctx is a text", one("tctx", "tenant"), decision.ClaimsInvalid},
		{"rctx is a list", one("rctx", []string{}), decision.ClaimsInvalid},
		{"a namespace of another issuer", one("sub", "corp:alice"), decision.NotEntitled},
		{"a requester of another issuer", one("req_wl", "spiffe://cluster.local/ns/shop/sa/orders"), decision.NotEntitled},
		{"a requester of a foreign domain", one("req_wl", "spiffe://evil.example/ns/edge/sa/tyk-gateway"), decision.NotEntitled},
	}
}

func forgedSignatures(t testing.TB, now time.Time) []Forgery {
	valid := Valid(t, now)
	part := strings.Split(valid, ".")
	parts := ValidParts(t, now)
	header, claims := mustJSON(t, parts.Header), mustJSON(t, parts.Claims)
	foreign := stranger(t)
	own := `{"alg":"ES256","kid":"` + foreign.ID() + `","typ":"txntoken+jwt"}`
	return []Forgery{
		{"claims changed after signing", part[0] + "." + encode(strings.Replace(claims, "alice", "mallo", 1)) + "." + part[2], decision.SignatureInvalid},
		{"all zero, as in psychic signatures", part[0] + "." + part[1] + "." + encode(strings.Repeat("\x00", 64)), decision.SignatureInvalid},
		{"ASN.1 in place of r||s", part[0] + "." + part[1] + "." + encode("\x30\x06\x02\x01\x01\x02\x01\x01"), decision.SignatureInvalid},
		{"one byte longer", part[0] + "." + part[1] + "." + longer(t, part[2]), decision.SignatureInvalid},
		{"another key under our kid", signWith(t, foreign, header, claims), decision.SignatureInvalid},
		{"another key under its own kid", signWith(t, foreign, own, claims), decision.KeyUnknown},
	}
}

func longer(t testing.TB, signature string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	return encode(string(data) + "\x00")
}
