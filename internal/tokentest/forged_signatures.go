package tokentest

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

func forgedSignatures(t testing.TB, now time.Time) []Forgery {
	valid := ValidToken(t, now)
	part := strings.Split(valid, ".")
	parts := ValidParts(t, now)
	header, claims := mustJSON(t, parts.Header), mustJSON(t, parts.Claims)
	unknown := newUnknownKey(t)
	own := `{"alg":"ES256","kid":"` + unknown.ID() + `","typ":"txntoken+jwt"}`
	return []Forgery{
		{"claims changed after signing", part[0] + "." + encodeBase64URL(strings.Replace(claims, "alice", "mallo", 1)) + "." + part[2], decision.SignatureInvalid},
		{"all zero, as in psychic signatures", part[0] + "." + part[1] + "." + encodeBase64URL(strings.Repeat("\x00", 64)), decision.SignatureInvalid},
		{"the order of the curve as s", part[0] + "." + part[1] + "." + encodeBase64URL(strings.Repeat("\x01", 32)+orderP256), decision.SignatureInvalid},
		{"the signature of another token", part[0] + "." + part[1] + "." + strings.Split(ValidToken(t, now.Add(-time.Second)), ".")[2], decision.SignatureInvalid},
		{"half of the signature", part[0] + "." + part[1] + "." + part[2][:40], decision.SignatureInvalid},
		{"ASN.1 in place of r||s", part[0] + "." + part[1] + "." + encodeBase64URL("\x30\x06\x02\x01\x01\x02\x01\x01"), decision.SignatureInvalid},
		{"one byte longer", part[0] + "." + part[1] + "." + addByte(t, part[2]), decision.SignatureInvalid},
		{"another key under our kid", signWith(t, unknown, header, claims), decision.SignatureInvalid},
		{"another key under its own kid", signWith(t, unknown, own, claims), decision.KeyUnknown},
	}
}

// orderP256 is n of FIPS 186-5, the order of P-256. Modulo n it is 0, and s must be below n.
const orderP256 = "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51"

func addByte(t testing.TB, signature string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		t.Fatal(err)
	}
	return encodeBase64URL(string(data) + "\x00")
}
