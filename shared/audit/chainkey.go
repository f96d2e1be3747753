package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// PEM types of the files of a chain's key: PKCS #8 (RFC 5958) and SubjectPublicKeyInfo (RFC 5280), as openssl writes them.
const (
	privateKeyType = "PRIVATE KEY"
	publicKeyType  = "PUBLIC KEY"
)

// ParseChainKey reads the private key that signs checkpoints: one PEM block, Ed25519.
func ParseChainKey(text []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != privateKeyType || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("want one PEM block %q with an Ed25519 key: make it with meshpass audit keys new", privateKeyType)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the private key cannot be read: make one with meshpass audit keys new") // the cause may quote it
	}
	key, isEd25519 := parsed.(ed25519.PrivateKey)
	if !isEd25519 {
		return nil, errors.New("want an Ed25519 key: make it with meshpass audit keys new")
	}
	return key, nil
}

// ParseCheckpointKeys reads the public keys that verify checkpoints: one PEM block each. Keys that were replaced stay in the
// file as long as their records are kept.
func ParseCheckpointKeys(text []byte) (keys []ed25519.PublicKey, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != publicKeyType {
			return nil, fmt.Errorf("want PEM blocks %q, not %q: meshpass audit keys new writes the public key to FILE.pub", publicKeyType, block.Type)
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("a public key cannot be read: %w", err)
		}
		key, isEd25519 := parsed.(ed25519.PublicKey)
		if !isEd25519 {
			return nil, errors.New("want Ed25519 keys")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(bytes.TrimSpace(text)) > 0 {
		return nil, fmt.Errorf("want PEM blocks %q and nothing else", publicKeyType)
	}
	return keys, nil
}

// FormatChainKey returns the two files of a key: the private one for the program that writes, and the public one for the
// people who verify.
func FormatChainKey(key ed25519.PrivateKey) (private, public []byte, err error) {
	private, err = x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	public, err = x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: privateKeyType, Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: publicKeyType, Bytes: public}), nil
}
