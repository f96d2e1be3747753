package tokentest

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Parts are the header and the claims of a token before it is signed. A test can change
// them.
type Parts struct {
	Header, Claims map[string]any
}

// ValidParts returns the parts of a valid token, with fewer claims than [ValidToken].
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

// Sign returns a token of these parts, signed with the TEST key.
func (p Parts) Sign(t testing.TB) string {
	t.Helper()
	return SignText(t, mustJSON(t, p.Header), mustJSON(t, p.Claims))
}

// SignText returns a token of this header and these claims, signed with the TEST key. The
// texts need not be JSON.
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
	input := encodeBase64URL(header) + "." + encodeBase64URL(claims)
	signature, err := key.Sign([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encodeBase64URL(string(signature))
}

func encodeBase64URL(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func mustJSON(t testing.TB, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// newUnknownKey returns a key that no verifier trusts.
func newUnknownKey(t testing.TB) *keyset.SigningKey {
	t.Helper()
	return NewSigningKeys(t, keyset.ES256, time.Now()).Keys()[0]
}
