package tokentest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

func forgedClaims(t testing.TB, now time.Time) []Forgery {
	with := func(changes map[string]any) string {
		p := ValidParts(t, now)
		maps.Copy(p.Claims, changes)
		maps.DeleteFunc(p.Claims, func(_ string, v any) bool { return v == nil })
		return p.Sign(t)
	}
	one := func(name string, value any) string { return with(map[string]any{name: value}) }
	written := func(name, number string) string { return one(name, json.RawMessage(number)) }
	unix := now.Unix()
	return []Forgery{
		{"another issuer", one("iss", "https://evil.example"), decision.IssuerUnknown},
		{"the issuer in other letters", one("iss", strings.ToUpper(Issuer)), decision.IssuerUnknown},
		{"the issuer with a slash", one("iss", Issuer+"/"), decision.IssuerUnknown},
		{"the issuer in a list", one("iss", []string{Issuer}), decision.IssuerUnknown},
		{"the issuer under a name in capitals", with(map[string]any{"iss": nil, "ISS": Issuer}), decision.IssuerUnknown},
		{"no issuer", one("iss", nil), decision.IssuerUnknown},
		{"another audience", one("aud", "prod.example.com"), decision.AudienceMismatch},
		{"our audience among others", one("aud", []string{Audience, "other"}), decision.AudienceMismatch},
		{"our audience twice", one("aud", []string{Audience, Audience}), decision.AudienceMismatch},
		{"our audience in a list of lists", one("aud", [][]string{{Audience}}), decision.AudienceMismatch},
		{"our audience as a name", one("aud", map[string]any{Audience: true}), decision.AudienceMismatch},
		{"our audience as a suffix", one("aud", "x."+Audience), decision.AudienceMismatch},
		{"no audience", one("aud", nil), decision.AudienceMismatch},
		{"an empty list of audiences", one("aud", []string{}), decision.AudienceMismatch},
		{"no exp", one("exp", nil), decision.TimeInvalid},
		{"exp 0", one("exp", 0), decision.TimeInvalid},
		{"exp is a text", one("exp", "9999999999"), decision.TimeInvalid},
		{"exp has a fraction", one("exp", float64(unix)+60.5), decision.TimeInvalid},
		{"exp with an exponent", written("exp", fmt.Sprintf("%de0", unix+60)), decision.TimeInvalid},
		{"exp with .0", written("exp", fmt.Sprintf("%d.0", unix+60)), decision.TimeInvalid},
		{"exp in milliseconds", one("exp", (unix+60)*1000), decision.TimeInvalid},
		{"exp beyond int64", written("exp", "9223372036854775808"), decision.TimeInvalid},
		{"exp is huge", written("exp", strings.Repeat("9", 300)), decision.TimeInvalid},
		{"the last int64 as exp", written("exp", "9223372036854775807"), decision.TimeInvalid},
		{"the last int64 as exp and iat", with(map[string]any{"iat": int64(math.MaxInt64 - 60), "exp": int64(math.MaxInt64)}), decision.TimeInvalid},
		{"iat is minus zero", written("iat", "-0"), decision.TimeInvalid},
		{"exp is null", written("exp", "null"), decision.TimeInvalid},
		{"exp is true", one("exp", true), decision.TimeInvalid},
		{"exp as in RFC 3339", one("exp", now.Add(time.Minute).Format(time.RFC3339)), decision.TimeInvalid},
		{"exp in a list", one("exp", []int64{unix + 60}), decision.TimeInvalid},
		{"exp is iat", one("exp", unix), decision.TimeInvalid},
		{"exp before iat", one("exp", unix-1), decision.TimeInvalid},
		{"no iat", one("iat", nil), decision.TimeInvalid},
		{"iat negative", one("iat", -1), decision.TimeInvalid},
		{"nbf 0", one("nbf", 0), decision.TimeInvalid},
		{"nbf after exp", one("nbf", unix+61), decision.TimeInvalid},
		{"nbf is a text", one("nbf", "now"), decision.TimeInvalid},
		{"expired", with(map[string]any{"iat": unix - 66, "exp": unix - 6}), decision.TokenExpired},
		{"expired as of the leeway", with(map[string]any{"iat": unix - 65, "exp": unix - 5}), decision.TokenExpired},
		{"issued in the future", with(map[string]any{"iat": unix + 6, "exp": unix + 66}), decision.TokenNotYetValid},
		{"nbf in the future", one("nbf", unix+6), decision.TokenNotYetValid},
		{"lives for a century", one("exp", unix+100*365*86400), decision.LifetimeTooLong},
		{"lives too long", one("exp", unix+301), decision.LifetimeTooLong},
		{"no sub", one("sub", nil), decision.ClaimsInvalid},
		{"sub is empty", one("sub", ""), decision.ClaimsInvalid},
		{"sub without a namespace", one("sub", "alice"), decision.ClaimsInvalid},
		{"sub is a number", one("sub", 7), decision.ClaimsInvalid},
		{"sub is null", written("sub", "null"), decision.ClaimsInvalid},
		{"sub of nobody", one("sub", "idp:"), decision.ClaimsInvalid},
		{"sub with a namespace in capitals", one("sub", "IDP:alice"), decision.ClaimsInvalid},
		{"sub with a space before", one("sub", " idp:alice"), decision.ClaimsInvalid},
		{"a NUL in sub", one("sub", "idp:alice\x00"), decision.ClaimsInvalid},
		{"a terminal's escape in sub", one("sub", "idp:alice\x1b[2J"), decision.ClaimsInvalid},
		{"a control character of ISO 6429 in sub", one("sub", "idp:alice\u009b2J"), decision.ClaimsInvalid},
		{"sub under a name in capitals", with(map[string]any{"sub": nil, "Sub": "idp:alice"}), decision.ClaimsInvalid},
		{"a long sub", one("sub", "idp:"+strings.Repeat("a", 4096)), decision.ClaimsInvalid},
		{"no txn", one("txn", nil), decision.ClaimsInvalid},
		{"a line break in txn", one("txn", "1\r\nset-cookie: a=b"), decision.ClaimsInvalid},
		{"a long txn", one("txn", strings.Repeat("a", 129)), decision.ClaimsInvalid},
		{"txn is empty", one("txn", ""), decision.ClaimsInvalid},
		{"txn is a number", one("txn", 1), decision.ClaimsInvalid},
		{"no req_wl", one("req_wl", nil), decision.ClaimsInvalid},
		{"req_wl is a DNS name", one("req_wl", "tyk.edge.svc"), decision.ClaimsInvalid},
		{"no scope", one("scope", nil), decision.ClaimsInvalid},
		{"a tab in scope", one("scope", "orders.read\torders.write"), decision.ClaimsInvalid},
		{"a quote in scope", one("scope", `orders.read"`), decision.ClaimsInvalid},
		{"a space after scope", one("scope", "orders.read "), decision.ClaimsInvalid},
		{"scope is null", written("scope", "null"), decision.ClaimsInvalid},
		{"names of an older draft", with(map[string]any{"scope": nil, "purp": "orders.read", "azd": map[string]any{}}), decision.ClaimsInvalid},
		{"scope is a list", one("scope", []string{"orders.read"}), decision.ClaimsInvalid},
		{"tctx is null", written("tctx", "null"), decision.ClaimsInvalid},
		{"tctx is a text", one("tctx", "tenant"), decision.ClaimsInvalid},
		{"rctx is a list", one("rctx", []string{}), decision.ClaimsInvalid},
		{"a namespace of another issuer", one("sub", "corp:alice"), decision.NotEntitled},
		{"a requester of another issuer", one("req_wl", "spiffe://cluster.local/ns/shop/sa/orders"), decision.NotEntitled},
		{"a requester of a foreign domain", one("req_wl", "spiffe://evil.example/ns/edge/sa/tyk-gateway"), decision.NotEntitled},
		{"minted by hand, for a test", one("tctx", map[string]any{"test": true}), decision.TestToken},
		{"a test that says it is none", one("tctx", map[string]any{"test": false}), decision.TestToken},
	}
}
