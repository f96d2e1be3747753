package main

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

// Digits of a JWT or OpenID token, and the claim that is signed; nil: the request is denied.
var tokenNumbers = map[string]any{
	"7":                                     int64(7),
	"0":                                     int64(0),
	"-7":                                    int64(-7),
	"2.0":                                   int64(2),
	"1.50":                                  1.5,
	"0.1":                                   0.1,
	"0.0000001":                             1e-7,
	"0.00000000000000000000000000000000001": 1e-35,
	"9007199254740991":                      int64(9007199254740991),
	"9007199254740992":                      nil,
	"9007199254740993":                      nil,
	"-9007199254740992":                     nil,
	"1152921504606846976":                   nil,
	"1152921504606846977":                   nil,
	"99999999999999999999":                  nil,
	"1e2":                                   nil,
	"1E2":                                   nil,
	"1.0e0":                                 nil,
	"-0":                                    nil,
	"-0.0":                                  nil,
	"0.10000000000000000001":                nil,
	"9007199254740991.4":                    nil,
	"123456789012345.67":                    123456789012345.67,
	"1.00000000000000000001":                nil,
}

// A number that a double cannot hold never becomes another number.
func TestNumbersOfTokens(t *testing.T) {
	p := startRig(t)
	for digits, want := range tokenNumbers {
		for name, c := range map[string]*call{"jwt": jwtCall(), "oidc": openID(jwtCall())} {
			t.Run(name+" "+digits, func(t *testing.T) {
				c.claims["org_id"] = json.Number(digits)
				r := c.request()
				if rw := p.callSignAndGuard(r); want == nil {
					requireDenied(t, p, r, rw, 401, decision.ClaimsInvalid)
				} else {
					requireEqual(t, requireSigned(t, p, r, rw).Tctx["tenant"], want)
				}
			})
		}
	}
}

// Redis keeps no digits, and a plugin that makes sessions may put any number there.
var metadataNumbers = []struct {
	name        string
	value, want any // nil: refused
}{
	{"an integer", 7.0, int64(7)},
	{"a fraction", 0.1, 0.1},
	{"the largest integer", 9007199254740991.0, int64(9007199254740991)},
	{"2^53", 9007199254740992.0, nil},
	{"-2^53", -9007199254740992.0, nil},
	{"a long identifier", 1152921504606846977.0, nil},
	{"a fraction of 16 digits", 0.1234567890123456, nil},
	{"a third", 1.0 / 3, nil},
	{"minus zero", math.Copysign(0, -1), nil},
	{"no number", math.NaN(), nil},
	{"without end", math.Inf(1), nil},
	{"an int", 7, int64(7)},
	{"an int64 of 2^53", int64(1 << 53), nil},
	{"a uint8", uint8(7), int64(7)},
	{"the largest uint64", uint64(math.MaxUint64), nil},
	{"a float32", float32(1.5), 1.5},
	{"a float32 fraction", float32(0.1), 0.1},
	{"a float32 that rounds", float32(1 << 24), nil},
	{"digits", json.Number("7"), int64(7)},
	{"too many digits", json.Number("9007199254740993"), nil},
	{"a list of numbers", []any{7.0}, nil},
	{"a list of lists", []any{[]any{"a"}}, nil},
	{"a list with null", []any{"a", nil}, nil},
	{"an object", map[string]any{"a": "b"}, nil},
	{"bytes", []byte("a"), nil},
}

func TestNumbersOfEverySession(t *testing.T) {
	p := startRig(t, "secretFile:", `oauth: {subject: client, claims: {tenant: meta.tenant}}
basic: {subject: username, claims: {tenant: meta.tenant}}
hmac: {subject: keyId, claims: {tenant: meta.tenant}}
mtls: {subject: fingerprint, claims: {tenant: meta.tenant}}
custom: {subject: meta.user, claims: {tenant: meta.tenant}}
secretFile:`)
	for _, row := range metadataNumbers {
		for _, m := range sessionMethods(t) {
			t.Run(row.name+" "+string(m), func(t *testing.T) {
				c := callWith(m)
				if m == tykapi.MethodKey {
					c = keyCall()
				}
				c.session.MetaData["tenant"] = row.value
				r := c.request()
				if rw := p.callSignAndGuard(r); row.want == nil {
					requireDenied(t, p, r, rw, 401, decision.ClaimsInvalid)
				} else {
					requireEqual(t, requireSigned(t, p, r, rw).Tctx["tenant"], row.want)
				}
			})
		}
	}
}

// Long identifiers of providers that write numbers can be mapped as texts.
func TestIntegerAsText(t *testing.T) {
	p := startRig(t, "tenant: org_id", "tenant: {from: org_id, as: text}", "tenant: meta.tenant", "tenant: {from: meta.tenant, as: text}")
	for digits, want := range map[string]any{"1152921504606846977": "1152921504606846977", "99999999999999999999": "99999999999999999999", "7": "7", "2.0": "2",
		`"7"`: nil, "1.5": nil, "1e2": nil, "-0": nil, "true": nil, `["7"]`: nil, "{}": nil} {
		t.Run(digits, func(t *testing.T) {
			c := jwtCall()
			c.claims["org_id"] = json.RawMessage(digits)
			r := c.request()
			if rw := p.callSignAndGuard(r); want == nil {
				requireDenied(t, p, r, rw, 401, decision.ClaimsInvalid)
			} else {
				requireEqual(t, requireSigned(t, p, r, rw).Tctx["tenant"], want)
			}
		})
	}
	for _, row := range []struct{ value, want any }{{7.0, "7"}, {int64(1152921504606846977), "1152921504606846977"}, {uint64(math.MaxUint64), "18446744073709551615"},
		{1152921504606846977.0, nil}, {1.5, nil}, {"7", nil}, {math.NaN(), nil}} {
		c := keyCall()
		c.session.MetaData["tenant"] = row.value
		r := c.request()
		if rw := p.callSignAndGuard(r); row.want == nil {
			requireDenied(t, p, r, rw, 401, decision.ClaimsInvalid)
		} else {
			requireEqual(t, requireSigned(t, p, r, rw).Tctx["tenant"], row.want)
		}
	}
}

// Only the token that Tyk has verified is signed for, not another token at its place.
func TestAnotherTokenThanTheVerifiedOne(t *testing.T) {
	p := startRig(t)
	rows := map[string]func(sent map[string]any){
		"another tenant":          func(sent map[string]any) { sent["org_id"] = "globex" },
		"another number":          func(sent map[string]any) { sent["org_id"] = json.Number("8") },
		"a list for a text":       func(sent map[string]any) { sent["org_id"] = []any{"acme"} },
		"another list":            func(sent map[string]any) { sent["groups"] = []any{"orders-eu"} },
		"another user":            func(sent map[string]any) { sent["sub"] = "bob" },
		"no event":                func(sent map[string]any) { delete(sent, "events") },
		"a claim more":            func(sent map[string]any) { sent["nonce"] = "n" },
		"an end that is further":  func(sent map[string]any) { sent["exp"] = inSeconds(6000) },
		"an object for the scope": func(sent map[string]any) { sent["scope"] = map[string]any{} },
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			c, other := jwtCall(), jwtCall()
			c.claims["events"], other.claims["events"] = map[string]any{}, map[string]any{}
			change(other.claims)
			r := c.request()
			r.Header.Set("Authorization", "Bearer "+other.token())
			requireDenied(t, p, r, p.callSignAndGuard(r), 401, decision.ClaimsUnbound)
		})
	}
}
