package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
)

// sumsFile lists the SHA-256 of every other file of a release, as sha256sum reads it.
const sumsFile = "SHA256SUMS"

// readSigningKey reads an ECDSA P-256 key in PEM (PKCS #8 or SEC 1).
func readSigningKey(file string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	wrong := fmt.Errorf("%s: want an ECDSA P-256 private key in PEM: openssl ecparam -name prime256v1 -genkey -noout -out %s", file, file)
	block, rest := pem.Decode(text)
	for block != nil && block.Type == "EC PARAMETERS" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, wrong
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		parsed, _ := x509.ParsePKCS8PrivateKey(block.Bytes) // nil: the error is the same
		key, _ = parsed.(*ecdsa.PrivateKey)
	}
	if key == nil || key.Curve != elliptic.P256() {
		return nil, wrong
	}
	return key, nil
}

// writeSums writes the checksums of all files in the folder, and their signature: base64 of an ASN.1 ECDSA signature over the
// SHA-256 of the list, the form of `cosign sign-blob`. It is deterministic (RFC 6979). A nil key writes no signature.
func writeSums(dir string, key *ecdsa.PrivateKey) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(text)
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum[:]), file.Name())
	}
	if err := os.WriteFile(filepath.Join(dir, sumsFile), sums.Bytes(), 0o644); err != nil || key == nil {
		return err
	}
	digest := sha256.Sum256(sums.Bytes())
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, sumsFile+".sig"), []byte(base64.StdEncoding.EncodeToString(signature)+"\n"), 0o644)
}
