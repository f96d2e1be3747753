package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"fmt"
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

func signRaw(key crypto.Signer, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch key.Public().(type) {
	case *ecdsa.PublicKey:
		return signES256(key, digest[:])
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	case *rsa.PublicKey:
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	return nil, ErrUnsupportedKey
}

// signES256 turns the signer's ASN.1 into r||s.
func signES256(key crypto.Signer, digest []byte) ([]byte, error) {
	der, err := key.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, fmt.Errorf("the signer did not return an ECDSA signature: %w", err)
	}
	signature := make([]byte, 2*coordinate)
	pair.R.FillBytes(signature[:coordinate])
	pair.S.FillBytes(signature[coordinate:])
	return signature, nil
}
