package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
)

// The signatures of RFC 7518 sections 3.3 and 3.4 and RFC 8037 section 3.1 are made and
// checked by the standard library. A general JOSE library would only choose the algorithm
// before that, and nothing but the key may choose it: see [algorithmOf].

// coordinate is the size of r and of s in an ES256 signature.
const coordinate = 32

func verifyRaw(key crypto.PublicKey, input, signature []byte) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return verifyES256(key, input, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, input, signature)
	case *rsa.PublicKey:
		digest := sha256.Sum256(input)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}

// verifyES256 reads r||s of exactly 64 bytes. Anyone can turn a signature (r, s) into
// (r, n-s). Both are accepted, as by RFC 7518: half of the signatures of other signers have
// the larger s. So the bytes of a token must not be used as its identity; txn is that.
func verifyES256(key *ecdsa.PublicKey, input, signature []byte) bool {
	if len(signature) != 2*coordinate {
		return false
	}
	digest := sha256.Sum256(input)
	var room [maxASN1]byte
	return ecdsa.VerifyASN1(key, digest[:], appendASN1(room[:0], signature)) // rejects 0, and numbers that are not below n
}

// maxASN1 is the size of the largest ECDSA-Sig-Value with P-256.
const maxASN1 = 2 + 2*(2+1+coordinate)

// appendASN1 appends the form that the standard library reads, an ECDSA-Sig-Value (RFC 3279 section 2.2.3) in DER. It is what
// [ecdsa.Verify] makes of two numbers.
func appendASN1(b, signature []byte) []byte {
	const sequence = 0x30
	b = append(b, sequence, 0)
	b = appendInteger(b, signature[:coordinate])
	b = appendInteger(b, signature[coordinate:])
	b[1] = byte(len(b) - 2)
	return b
}

// appendInteger appends an INTEGER in DER: without zeros in front, but with one if the first bit would make it negative.
func appendInteger(b, number []byte) []byte {
	const integer = 0x02
	for len(number) > 1 && number[0] == 0 {
		number = number[1:]
	}
	b = append(b, integer, byte(len(number)))
	if number[0] >= 0x80 {
		b[len(b)-1]++
		b = append(b, 0)
	}
	return append(b, number...)
}

// signRaw signs with a key that [newSigningKey] has accepted.
//
// The switch is over any. In a Go plugin, a switch over [crypto.Signer] compares the plugin's own table of
// methods with the one of the value. The gateway's program makes another table for the same type before it
// loads the plugin, if it serves TLS, and then no case fits.
func signRaw(key crypto.Signer, input []byte) ([]byte, error) {
	switch key := any(key).(type) {
	case *ecdsa.PrivateKey:
		return signES256(key, input)
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input), nil
	case *rsa.PrivateKey:
		digest := sha256.Sum256(input)
		return rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	}
	return nil, ErrUnsupportedKey
}

// signES256 returns r||s.
func signES256(key *ecdsa.PrivateKey, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 2*coordinate)
	r.FillBytes(signature[:coordinate])
	s.FillBytes(signature[coordinate:])
	return signature, nil
}
