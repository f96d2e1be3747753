package token

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

// marshalPayload writes the claims of a token with encoding/json, from a struct and maps.
// It is the reference for [Minter.appendPayload].
func marshalPayload(c MinterConfig, id identity.Identity, lifetime time.Duration) ([]byte, error) {
	if err := checkIdentity(id); err != nil {
		return nil, err
	}
	tctx, rctx := map[string]any{}, map[string]any{}
	for name, value := range id.Claims {
		tctx[name] = value
	}
	if id.API != (identity.API{}) {
		tctx["api"] = map[string]any{"id": id.API.ID, "name": id.API.Name}
	}
	if c.Test {
		tctx[testMember] = true
	}
	for name, text := range map[string]string{"org": id.Org, "auth": id.Method, "sid": id.SessionID} {
		if text != "" {
			tctx[name] = text
		}
	}
	if id.IP != "" {
		rctx["ip"] = id.IP
	}
	if !id.AuthTime.IsZero() {
		rctx["auth_time"] = id.AuthTime.Unix()
	}
	now := c.Now()
	return json.Marshal(struct {
		Issuer    string         `json:"iss"`
		Audience  string         `json:"aud"`
		IssuedAt  int64          `json:"iat"`
		Expires   int64          `json:"exp"`
		Txn       string         `json:"txn"`
		Subject   string         `json:"sub"`
		Scope     string         `json:"scope"`
		Requester string         `json:"req_wl"`
		Tctx      map[string]any `json:"tctx"`
		Rctx      map[string]any `json:"rctx"`
	}{c.Issuer, c.Audience, now.Unix(), now.Add(lifetime).Unix(), id.Txn, id.Subject.String(), joinScopes(id.Scopes), id.Requester, tctx, rctx})
}

// requireSamePayload compares the two encoders.
func requireSamePayload(t *testing.T, c MinterConfig, id identity.Identity, lifetime time.Duration) {
	t.Helper()
	m := &Minter{config: c, issuer: startPayload(c)}
	want, wantErr := marshalPayload(c, id, lifetime)
	got, err := m.appendPayload(nil, id, lifetime)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if err == nil && string(got) != string(want) {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
}

var payloadClock = func() time.Time { return time.Unix(1780315200, 999) }

func FuzzPayload(f *testing.F) {
	f.Add("https://i.example", "a.example", "txn", "idp", "alice", "orders.read orders.write", "spiffe://x", "id", "Orders <&>", "org", "jwt", "sid", "192.0.2.7", int64(1), `{"tenant":"acme","n":[1,2.5,null,true]}`, false)
	f.Add("\xff", "\u2028", "\"", "idp", "é", "", "", "", "", "", "", "", "", int64(0), `{"x":1e400}`, true)
	f.Fuzz(func(t *testing.T, issuer, audience, txn, namespace, subject, scopes, requester, api, apiName, org, auth, sid, ip string, authTime int64, claims string, test bool) {
		id := identity.Identity{
			Txn: txn, Subject: identity.Subject{Namespace: namespace, ID: subject}, Scopes: strings.Fields(scopes), Requester: requester,
			API: identity.API{ID: api, Name: apiName}, Org: org, Method: auth, SessionID: sid, IP: ip,
		}
		if authTime != 0 {
			id.AuthTime = time.Unix(authTime, 0)
		}
		_ = json.Unmarshal([]byte(claims), &id.Claims) // nil, if it is no object
		requireSamePayload(t, MinterConfig{Issuer: issuer, Audience: audience, Test: test, Now: payloadClock}, id, time.Minute)
	})
}

func TestPayloadsAreWrittenAsByTheStandardLibrary(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := []string{"", "x", "<&>\u2028", "a\xffb", "\x00\n\t\"\\", "日本", strings.Repeat("long", 300)}
	text := func() string { return texts[random.IntN(len(texts))] }
	values := []any{
		nil, true, false, 0, int64(math.MaxInt64), 1.5, 1e-9, 1e21, "text", "<\xff>", []any{}, []any(nil), []string{"a", "b"}, []string(nil),
		map[string]any{"b": 1, "a": []any{nil, map[string]any{}}}, map[string]any(nil), json.Number("12.50"), uint8(7), map[string]string{"k": "v"},
		math.NaN(), func() {}, // errors
	}
	for range 20_000 {
		id := identity.Identity{
			Txn: text(), Subject: identity.Subject{Namespace: "idp", ID: "alice" + text()}, Requester: text(),
			API: identity.API{ID: text(), Name: text()}, Org: text(), Method: text(), SessionID: text(), IP: text(),
		}
		for range random.IntN(4) {
			id.Scopes = append(id.Scopes, []string{"orders.read", "orders.write", "x"}[random.IntN(3)])
		}
		if random.IntN(2) == 0 {
			id.AuthTime = time.Unix(random.Int64N(1<<40), 5)
		}
		if random.IntN(3) > 0 {
			id.Claims = map[string]any{}
		}
		for range random.IntN(6) {
			if id.Claims != nil {
				id.Claims[[]string{"a", "b", "zz", "group_ids", "auth_time", "plan"}[random.IntN(6)]] = values[random.IntN(len(values))]
			}
		}
		c := MinterConfig{Issuer: text(), Audience: text(), Test: random.IntN(2) == 0, Now: payloadClock}
		requireSamePayload(t, c, id, time.Duration(random.IntN(300))*time.Second)
	}
}

// More claims than any token can carry are denied as they were, and are not kept in memory.
func TestTenThousandClaims(t *testing.T) {
	id := identity.Identity{Txn: "t", Subject: identity.Subject{Namespace: "idp", ID: "alice"}, Requester: "spiffe://x/ns/a/sa/b", Claims: map[string]any{}}
	for i := range 10_000 {
		id.Claims[fmt.Sprintf("claim_%d", i)] = i
	}
	requireSamePayload(t, MinterConfig{Issuer: "i", Audience: "a", Now: payloadClock}, id, time.Minute)
	p := &parsed{decoded: make([]byte, 0, maxPooledBytes+1), text: make([]byte, 10, maxPooledBytes)}
	if p.release(); p.decoded != nil || p.text == nil {
		t.Errorf("kept %d and %d bytes", cap(p.decoded), cap(p.text))
	}
}
