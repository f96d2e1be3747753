package keyset_test

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"slices"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/meshpass/meshpass/internal/tokentest/wycheproof"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Wycheproof's vectors of bare signatures, through a key set as a hop reads it.
func TestSignatureVectors(t *testing.T) {
	for _, row := range []struct {
		file       string
		count      int
		deviations []int // valid, and refused
	}{
		{"ecdsa_secp256r1_sha256_p1363_test.json", 252, nil},
		{"ed25519_test.json", 150, nil},
		// RSA keys with the exponent 3, which deceive readers that do not check all of the padding.
		{"rsa_signature_2048_sha256_test.json", 259, []int{258, 259}},
	} {
		t.Run(row.file, func(t *testing.T) {
			for _, group := range wycheproof.ReadGroups(t, row.file) {
				key, err := publicKey(t, unhex(t, group.DER))
				row.count -= len(group.Tests)
				for _, v := range group.Tests {
					accepted := err == nil && key.Verify(unhex(t, v.Message), unhex(t, v.Signature)) == nil
					if want := v.Result == "valid" && !slices.Contains(row.deviations, v.ID); accepted != want {
						t.Errorf("%d, %s: %s, accepted %v, %v", v.ID, v.Comment, v.Result, accepted, err)
					}
				}
			}
			if row.count != 0 {
				t.Errorf("%d vectors are missing", row.count)
			}
		})
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// publicKey reads the key from a published set, which may reject it.
func publicKey(t *testing.T, der []byte) (keyset.PublicKey, error) {
	t.Helper()
	raw, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	key, err := jwk.FromRaw(raw)
	if err == nil {
		err = jwk.AssignKeyID(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(map[string]any{"keys": []any{key}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := keyset.ParseJWKS(document)
	if err != nil {
		return keyset.PublicKey{}, err
	}
	public, _ := set.KeyByID(key.KeyID())
	return public, nil
}

// The thumbprints that RFC 7638 section 3.1 and RFC 8037 appendix A.3 compute: a
// set is taken only if they are ours too.
func TestThumbprintsOfTheRFCs(t *testing.T) {
	for _, member := range []string{
		`{"kty":"RSA","kid":"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs","e":"AQAB","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}`,
		`{"kty":"OKP","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	} {
		if _, err := keyset.ParseJWKS([]byte(`{"keys":[` + member + `]}`)); err != nil {
			t.Error(err)
		}
	}
}
