package tokentest

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Parts is a token before it is signed, free to be made wrong.
type Parts struct {
	Header, Claims map[string]any
}

// ValidParts is what [ValidToken] is made of.
func ValidParts(t testing.TB, now time.Time) Parts {
	t.Helper()
	key, err := SigningKeys(t).Current(now)
	if err != nil {
		t.Fatal(err)
	}
	return Parts{
		Header: map[string]any{"alg": keyset.ES256, "kid": key.ID(), "typ": "txntoken+jwt"},
		Claims: map[string]any{
			"iss": Issuer, "aud": Audience, "iat": now.Unix(), "exp": now.Unix() + 60,
			"txn": Identity().Txn, "sub": Identity().Subject.String(), "scope": "orders.read",
			"req_wl": Requester,
			"tctx":   map[string]any{"tenant": "acme", "plan": "gold"},
			"rctx":   map[string]any{"ip": "192.0.2.7"},
		},
	}
}

// Sign makes a token of the parts with the TEST key.
func (p Parts) Sign(t testing.TB) string {
	t.Helper()
	return SignText(t, mustJSON(t, p.Header), mustJSON(t, p.Claims))
}

// SignText makes a token of header and claims as they are written.
func SignText(t testing.TB, header, claims string) string {
	t.Helper()
	key, err := SigningKeys(t).Current(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return signWith(t, key, header, claims)
}

func signWith(t testing.TB, key *keyset.SigningKey, header, claims string) string {
	t.Helper()
	input := encode(header) + "." + encode(claims)
	signature, err := key.Sign([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(string(signature))
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func mustJSON(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// stranger is a key that no verifier knows.
func stranger(t testing.TB) *keyset.SigningKey {
	t.Helper()
	return NewSigningKeys(t, keyset.ES256, time.Now()).Keys()[0]
}
