package token_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/meshpass/meshpass/internal/strictjson"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/token"
)

// seeds are every valid and every forged token that we know.
func seeds(f *testing.F) []string {
	all := []string{"", tokentest.ValidToken(f, noon)}
	for _, forgery := range tokentest.ForgedTokens(f, noon) {
		if len(forgery.Raw) <= token.MaxBytes {
			all = append(all, forgery.Raw)
		}
	}
	return all
}

// refused fails unless the error has the reason of a rule.
func refused(t *testing.T, err error) {
	var refusal *token.Error
	if !errors.As(err, &refusal) || token.RuleNumber(refusal.Reason) == 0 {
		t.Errorf("no refusal: %v", err)
	}
}

// A text that the parser accepts has one spelling: its content is encoded as the same text.
func FuzzParse(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		again, err := token.Rebuilt(raw)
		if err != nil {
			refused(t, err)
			return
		}
		if again != raw || strings.Count(raw, ".") != 2 || len(raw) > token.MaxBytes {
			t.Errorf("%q comes back as %q", raw, again)
		}
	})
}

// The standard library reads an object that the strict reader accepts in the same way, and
// it is the same when it is written again: no second reader finds something else in it.
func FuzzObject(f *testing.F) {
	for _, seed := range seeds(f) {
		for _, part := range strings.Split(seed, ".") {
			if data, err := base64.RawURLEncoding.DecodeString(part); err == nil && len(data) > 0 {
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		object, err := strictjson.ParseObject(data)
		if err != nil {
			return
		}
		var other map[string]any
		if err := json.Unmarshal(data, &other); err != nil || len(other) != len(object) {
			t.Fatalf("encoding/json reads %v, %v", other, err)
		}
		written := marshal(t, object) // 1.0 is written as 1, so the second time counts
		again, err := strictjson.ParseObject(written)
		if err != nil || !bytes.Equal(marshal(t, again), written) {
			t.Errorf("%s comes back as %v, %v", written, again, err)
		}
	})
}

func marshal(t *testing.T, object map[string]any) []byte {
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every text gets an answer, and jwx accepts every token that we accept.
func FuzzVerify(f *testing.F) {
	v, accepts := verifier(f, noon), library(f)
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := v.Verify(raw)
		if err != nil {
			refused(t, err)
			return
		}
		if err := accepts(raw); err != nil || claims == nil {
			t.Errorf("the library: %v", err)
		}
	})
}

// Any claims are signed here, as if a signer were deceived. Those that pass the rules are
// safe for policies, logs and headers, and are the same when they come from the cache.
func FuzzClaims(f *testing.F) {
	v, key := newHop(f, 1000).verifier.Load(), tokentest.SigningKeys(f).Keys()[0]
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"` + key.ID() + `","typ":"txntoken+jwt"}`))
	for _, seed := range seeds(f) {
		if parts := strings.Split(seed, "."); len(parts) == 3 {
			if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
				f.Add(data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		input := header + "." + base64.RawURLEncoding.EncodeToString(data)
		signature, err := key.Sign([]byte(input))
		if err != nil {
			t.Fatal(err)
		}
		raw := input + "." + base64.RawURLEncoding.EncodeToString(signature)
		claims, err := v.Verify(raw)
		if err != nil {
			refused(t, err)
			return
		}
		if remembered, err := v.Verify(raw); err != nil || !reflect.DeepEqual(remembered, claims) {
			t.Errorf("remembered as %+v, %v, accepted as %+v", remembered, err, claims)
		}
		for _, text := range []string{claims.Subject, claims.Txn, claims.Scope, claims.Requester} {
			if strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsRune(text, unicode.ReplacementChar) {
				t.Errorf("accepted %q", text)
			}
		}
		lives := claims.Expires.Sub(claims.IssuedAt)
		if claims.Issuer != tokentest.Issuer || claims.Audience != tokentest.Audience || lives <= 0 || lives > token.MaxLifetime {
			t.Errorf("accepted %+v", claims)
		}
	})
}
