package token

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/meshpass/meshpass/internal/tokentest/wycheproof"
	"github.com/meshpass/meshpass/shared/keyset"
)

// The vectors of others are signatures over any payload, by keys with any name. They are
// checked by the rules that hold for every token: parseJWS, the key set, and the signature.
// Their kid is replaced by the thumbprint that we require.

// refusalOf returns the reason why a vector is rejected, or the error of its key. It is empty
// if the vector is accepted.
func refusalOf(t *testing.T, material []byte, raw string) string {
	t.Helper()
	p, err := parseJWS(raw, MaxBytes)
	if err != nil {
		return string(ReasonOf(err))
	}
	keys, err := adopt(t, material)
	if err != nil {
		return err.Error()
	}
	for _, p.kid = range keys.KeyIDs() {
		if err = verifySignature(p, keys); err == nil {
			return ""
		}
	}
	return string(ReasonOf(err))
}

// adopt reads a JWK, or a set of them, and gives its keys our names.
func adopt(t *testing.T, material []byte) (*keyset.PublicKeys, error) {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(material, &set); err != nil {
		t.Fatal(err)
	}
	if set.Keys == nil {
		set.Keys = make([]map[string]any, 1)
		if err := json.Unmarshal(material, &set.Keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	for _, member := range set.Keys {
		if name, ok := thumbprint(t, member); ok {
			member["kid"] = name
		}
	}
	return keyset.ParseJWKS(mustMarshal(t, set))
}

func thumbprint(t *testing.T, member map[string]any) (string, bool) {
	t.Helper()
	key, err := jwk.ParseKey(mustMarshal(t, member))
	if err != nil {
		return "", false // no reader can read the key: ParseJWKS must return an error
	}
	digest, err := key.Thumbprint(crypto.SHA256)
	return base64.RawURLEncoding.EncodeToString(digest), err == nil
}

func mustMarshal(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The examples of RFC 7515 appendix A, RFC 7520 section 4 and RFC 8037 appendix A.
func TestExamplesOfTheRFCs(t *testing.T) {
	data, err := os.ReadFile("testdata/rfc.json")
	if err != nil {
		t.Fatal(err)
	}
	var examples []struct {
		Name, JWS, Reason string
		Key               json.RawMessage
	}
	if err := json.Unmarshal(data, &examples); err != nil || len(examples) != 12 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, example := range examples {
		t.Run(example.Name, func(t *testing.T) {
			got := refusalOf(t, example.Key, example.JWS)
			if (got == "") != (example.Reason == "") || !strings.Contains(got, example.Reason) {
				t.Errorf("got %q, want %q", got, example.Reason)
			}
		})
	}
}

// deviations are the vectors that their authors call valid and we reject. There is no vector
// that they call invalid and we accept.
var deviations = []struct {
	file    string
	refusal string // with part of this text
	because string
	ids     []int
}{
	{jwsVectors, "a symmetric key", "a party that can verify could also sign (3)", []int{1, 348, 352, 357, 358, 359, 376, 377}},
	{jwsVectors, "token_charset", "a question mark inside; their own comment calls it invalid (5)", []int{372, 373}},
	{jwsVectors, "token_format", "an empty payload: there is no token without claims (4)", []int{259, 264, 268, 272, 320, 325}},
	{jwsVectors, "alg does not fit the key", "RS384, RS512 and PS…: an RSA key is for RS256 alone (1, 2)", []int{265, 266, 267, 269, 270, 271, 273, 274, 275, 287, 288, 321, 322, 323, 326, 327, 328, 346, 350}},
	{jwsVectors, "key kind not supported", "P-521, which Envoy and many others do not know (20)", []int{347, 351}},
	{jwkVectors, "a symmetric key", "as above, also in a set with other keys", []int{2, 13, 14, 15}},
}

const (
	jwsVectors = "json_web_signature_test.json"
	jwkVectors = "json_web_key_test.json"
)

func TestWycheproof(t *testing.T) {
	for file, count := range map[string]int{jwsVectors: 401, jwkVectors: 26} {
		seen := 0
		for _, group := range wycheproof.ReadGroups(t, file) {
			for _, vector := range group.Tests {
				seen++
				if err := checkVector(t, file, group, vector); err != nil {
					t.Errorf("%s %d, %s: %v", file, vector.ID, vector.Comment, err)
				}
			}
		}
		if seen != count {
			t.Errorf("%s: %d vectors, want %d", file, seen, count)
		}
	}
}

// checkVector returns an error if we do not answer as the authors of the vector, or as a deviation says.
func checkVector(t *testing.T, file string, group wycheproof.Group, v wycheproof.Vector) error {
	material := group.Public
	if material == nil {
		material = group.Private
	}
	refusal := refusalOf(t, material, v.JWS)
	for _, d := range deviations {
		if d.file == file && slices.Contains(d.ids, v.ID) {
			if v.Result == "valid" && strings.Contains(refusal, d.refusal) {
				return nil
			}
			return errors.New("no such deviation: " + v.Result + ", rejected for " + refusal)
		}
	}
	if (v.Result == "valid") != (refusal == "") {
		return errors.New(v.Result + ", rejected for " + refusal)
	}
	return nil
}
