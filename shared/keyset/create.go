package keyset

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ErrMarker says that a directory holds keys of the other kind: those of tests
// and those of production are never in one.
var ErrMixedKeys = errors.New("test keys and production keys need a directory each")

func create(algorithm string) (*SigningKey, []byte, error) {
	private, err := generate(algorithm)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("new key: %w", err)
	}
	key, err := newKey(private)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
