package token_test

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

func TestWhatIsMintedIsWhatAHopReads(t *testing.T) {
	raw, minted, err := tokentest.NewMinter(t, noon).Mint(tokentest.Identity())
	if err != nil {
		t.Fatal(err)
	}
	read, err := verifier(t, noon).Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*identity.Claims{minted, read} {
		if c.Subject != "idp:alice" || c.Scope != "orders.read" || c.Txn != tokentest.Identity().Txn ||
			c.Requester != tokentest.Requester || c.Tctx["tenant"] != "acme" || c.Rctx["ip"] != "192.0.2.7" ||
			!c.Expires.Equal(noon.Add(time.Minute)) {
			t.Errorf("got %+v", c)
		}
	}
}

// MintToken returns the token of MintFor, also if many goroutines use one minter.
func TestConcurrentTokensAreNotMixed(t *testing.T) {
	minter, trust := tokentest.NewIssuer(t, keyset.EdDSA, noon) // equal input, equal signature
	v := verifierOf(t, trust)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range 50 {
				id := tokentest.Identity()
				id.Subject.ID, id.Txn = fmt.Sprintf("user-%d-%d", worker, n), fmt.Sprintf("txn-%d-%d", worker, n)
				id.Claims = map[string]any{"tenant": id.Subject.ID, "kinds": []any{nil, true, 1.5, int64(n), "text", map[string]any{"x": []any{}}}}
				raw, err := minter.MintToken(id, 30*time.Second)
				same, claims, sameErr := minter.MintFor(id, 30*time.Second)
				if err != nil || sameErr != nil || raw != same {
					t.Errorf("%v, %v: %s, %s", err, sameErr, raw, same)
					return
				}
				read, err := v.Verify(raw)
				if err != nil || !reflect.DeepEqual(read, claims) || read.Tctx["tenant"] != id.Subject.ID || read.Txn != id.Txn {
					t.Errorf("%v: got %+v, want %+v", err, read, claims)
					return
				}
			}
		}()
	}
	all.Wait()
}

func TestPayloadIsWrittenAsDocumented(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	want := `{"iss":"https://tyk.test.meshpass.dev","aud":"test.meshpass.dev","iat":1780315200,"exp":1780315260,` +
		`"txn":"0197a1b2-0000-7000-8000-000000000001","sub":"idp:alice","scope":"orders.read",` +
		`"req_wl":"spiffe://cluster.local/ns/edge/sa/tyk-gateway",` +
		`"tctx":{"api":{"id":"orders-api","name":"Orders"},"auth":"jwt","groups":["orders-read","staff"],"org":"acme-org","plan":"gold","sid":"test-sid","tenant":"acme"},` +
		`"rctx":{"ip":"192.0.2.7"}}`
	if string(payload) != want {
		t.Errorf("got\n%s\nwant\n%s", payload, want)
	}
}

func TestTokenEndsWithTheCredential(t *testing.T) {
	for _, row := range []struct {
		name string
		left time.Duration
		want time.Duration // life of the token; 0: refused
	}{
		{"credential without an end", 0, time.Minute},
		{"credential outlives it", time.Hour, time.Minute},
		{"credential ends first", 30 * time.Second, 30 * time.Second},
		{"rounded down", 30*time.Second + 900*time.Millisecond, 30 * time.Second},
		{"just enough", 5 * time.Second, 5 * time.Second},
		{"about to end", 5*time.Second - 1, 0},
		{"ended", -time.Second, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			id := tokentest.Identity()
			if row.left != 0 {
				id.NotAfter = noon.Add(row.left)
			}
			_, claims, err := tokentest.NewMinter(t, noon).Mint(id)
			if row.want == 0 {
				if token.ReasonOf(err) != decision.CredentialExpiring {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || claims.Expires.Sub(claims.IssuedAt) != row.want {
				t.Fatalf("got %+v, %v", claims, err)
			}
		})
	}
}

func TestLifetimeCanOnlyBeShortened(t *testing.T) {
	m := tokentest.NewMinter(t, noon)
	for lifetime, want := range map[time.Duration]time.Duration{10 * time.Second: 10 * time.Second, time.Hour: time.Minute} {
		_, claims, err := m.MintFor(tokentest.Identity(), lifetime)
		if err != nil || claims.Expires.Sub(claims.IssuedAt) != want {
			t.Errorf("%v: got %+v, %v", lifetime, claims, err)
		}
	}
}

func TestIdentitiesThatDoNotFit(t *testing.T) {
	for name, change := range map[string]func(*identity.Identity){
		"no subject":               func(id *identity.Identity) { id.Subject.ID = "" },
		"no namespace":             func(id *identity.Identity) { id.Subject.Namespace = "" },
		"a colon in the namespace": func(id *identity.Identity) { id.Subject.Namespace = "key:x" },
		"a namespace in capitals":  func(id *identity.Identity) { id.Subject.Namespace = "Key" },
		"no requester":             func(id *identity.Identity) { id.Requester = "" },
		"a scope with a space":     func(id *identity.Identity) { id.Scopes = []string{"a b"} },
		"an empty scope":           func(id *identity.Identity) { id.Scopes = []string{""} },
		"a claim with a quote":     func(id *identity.Identity) { id.Claims = map[string]any{`x":0,"admin`: true} },
		"bytes that are no UTF-8":  func(id *identity.Identity) { id.Subject.ID = "alice\xff" }, // or alice\xff and alice\xfe are one
		"the same in a claim":      func(id *identity.Identity) { id.Claims = map[string]any{"tenant": "acme\xfe"} },
		"a control character":      func(id *identity.Identity) { id.Subject.ID = "alice\n" },
		"a claim test":             func(id *identity.Identity) { id.Claims = map[string]any{"test": true} },
		"a reserved claim":         func(id *identity.Identity) { id.Claims = map[string]any{"api": "x"} },
		"a claim that is no JSON":  func(id *identity.Identity) { id.Claims = map[string]any{"x": func() {}} },
		"a claim nested too deep":  func(id *identity.Identity) { id.Claims = map[string]any{"x": nested(20)} },
		"more than 8 KiB":          func(id *identity.Identity) { id.Claims = map[string]any{"x": strings.Repeat("a", 8000)} },
	} {
		t.Run(name, func(t *testing.T) {
			id := tokentest.Identity()
			change(&id)
			raw, _, err := tokentest.NewMinter(t, noon).Mint(id)
			if raw != "" || token.ReasonOf(err) != decision.MintFailed {
				t.Fatalf("got %q, %v", raw, err)
			}
		})
	}
}

func nested(depth int) any {
	if depth == 0 {
		return "x"
	}
	return []any{nested(depth - 1)}
}

func TestNoKeyMaySign(t *testing.T) {
	keys, now := tokentest.NewSigningKeys(t, keyset.ES256, noon.Add(time.Hour)), noon
	m, err := token.NewMinter(token.MinterConfig{
		Issuer: "https://i", Audience: "a.example", Lifetime: time.Minute, MinRemaining: time.Second,
		Keys: keys, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		at   time.Time
		want decision.Reason // "": signs
	}{
		{"before its time", noon, decision.NoSigningKey},
		{"in its time", noon.Add(time.Hour), ""},
		{"after its time", noon.Add(2 * time.Hour), decision.NoSigningKey},
	} {
		now = row.at
		_, _, minted := m.Mint(tokentest.Identity())
		for what, err := range map[string]error{"mint": minted, "self-test": m.SelfTest()} {
			if (err == nil) != (row.want == "") || err != nil && token.ReasonOf(err) != row.want {
				t.Errorf("%s, %s: got %v, want %q", row.name, what, err, row.want)
			}
		}
	}
}

func TestMinterRefusesToStart(t *testing.T) {
	good := token.MinterConfig{Issuer: "https://i", Audience: "a.example", Lifetime: time.Minute, MinRemaining: time.Second, Keys: tokentest.SigningKeys(t)}
	for want, change := range map[string]func(*token.MinterConfig){
		"issuer is empty":   func(c *token.MinterConfig) { c.Issuer = "" },
		"audience is empty": func(c *token.MinterConfig) { c.Audience = "" },
		"globally unique":   func(c *token.MinterConfig) { c.Audience = "cluster.local" },
		"lifetime 0s":       func(c *token.MinterConfig) { c.Lifetime = 0 },
		"lifetime 10m0s":    func(c *token.MinterConfig) { c.Lifetime = 10 * time.Minute },
		"minRemaining 0s":   func(c *token.MinterConfig) { c.MinRemaining = 0 },
		"no signing keys":   func(c *token.MinterConfig) { c.Keys = nil },
	} {
		c := good
		change(&c)
		if _, err := token.NewMinter(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestEveryAlgorithm(t *testing.T) {
	for _, algorithm := range keyset.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			minter, trust := tokentest.NewIssuer(t, algorithm, noon)
			raw, _, err := minter.Mint(tokentest.Identity())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verifierOf(t, trust).Verify(raw); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// No verifier accepts the text that the minter reads without a signature.
func TestSigningInputIsNoToken(t *testing.T) {
	raw := tokentest.ValidToken(t, noon)
	input := raw[:strings.LastIndexByte(raw, '.')]
	for name, row := range map[string]struct {
		raw  string
		want decision.Reason
	}{
		"no signature":        {input, decision.TokenFormat},
		"an empty signature":  {input + ".", decision.TokenFormat},
		"a byte as signature": {input + ".AA", decision.SignatureInvalid},
	} {
		if _, err := verifier(t, noon).Verify(row.raw); token.ReasonOf(err) != row.want {
			t.Errorf("%s: got %v, want %s", name, err, row.want)
		}
	}
}
