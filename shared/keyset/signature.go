package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
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
	r, s := new(big.Int).SetBytes(signature[:coordinate]), new(big.Int).SetBytes(signature[coordinate:])
	return ecdsa.Verify(key, digest[:], r, s) // rejects 0, and numbers that are not below n
}

// signRaw signs with a key that [newSigningKey] has accepted.
func signRaw(key crypto.Signer, input []byte) ([]byte, error) {
	switch key := key.(type) {
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
