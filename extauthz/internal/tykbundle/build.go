package tykbundle

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
)

// Limits of what is read. A plugin has about 50 MB.
const (
	maxPluginBytes = 512 << 20
	maxKeyBytes    = 64 << 10
	minKeyBits     = 2048
)

// Build makes a bundle of the plugin's files. A nil key makes an unsigned bundle. The same files and the same key make the
// same bytes. Errors: all files that cannot be in a bundle.
func Build(paths []string, key *rsa.PrivateKey) ([]byte, []Plugin, error) {
	var plugins []Plugin
	var problems []error
	contents := map[string][]byte{}
	for _, path := range paths {
		content, err := readfile.Read(path, maxPluginBytes)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		plugin, err := inspectPlugin(filepath.Base(path), content)
		switch {
		case err != nil:
			problems = append(problems, err)
		case contents[plugin.File] != nil:
			problems = append(problems, fmt.Errorf("%s: another file is for the same gateway: name one of them", path))
		default:
			plugins = append(plugins, plugin)
			contents[plugin.File] = content
		}
	}
	if len(problems) > 0 {
		return nil, nil, errors.Join(problems...)
	}
	slices.SortFunc(plugins, func(a, b Plugin) int { return bytes.Compare([]byte(a.File), []byte(b.File)) })
	var files []string
	var all bytes.Buffer
	for _, p := range plugins {
		files = append(files, p.File)
		all.Write(contents[p.File])
	}
	m := newManifest(files)
	m.Checksum = checksumOf(all.Bytes())
	if key != nil {
		hash := sha256.Sum256(all.Bytes())
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, hash[:])
		if err != nil {
			return nil, nil, err
		}
		m.Signature = base64.StdEncoding.EncodeToString(signature)
	}
	bundle, err := writeZip(m, contents)
	return bundle, plugins, err
}

// writeZip writes the listed files and then the manifest, without times.
func writeZip(m manifest, contents map[string][]byte) ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	contents[manifestName] = text
	var bundle bytes.Buffer
	archive := zip.NewWriter(&bundle)
	for _, name := range append(slices.Clone(m.FileList), manifestName) {
		file, err := archive.Create(name)
		if err != nil {
			return nil, err
		}
		if _, err := file.Write(contents[name]); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return bundle.Bytes(), nil
}

// ReadPrivateKey reads the RSA key that signs bundles, in PEM (PKCS #1 or PKCS #8).
func ReadPrivateKey(path string) (*rsa.PrivateKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, checkKeySize(path, key.N.BitLen())
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: want an RSA private key in PEM, because a gateway verifies bundles with RSA only, not %s", path, describePEM(block))
	}
	return key, checkKeySize(path, key.N.BitLen())
}

// ReadPublicKey reads the key that a gateway has in public_key_path.
func ReadPublicKey(path string) (*rsa.PublicKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := parsed.(*rsa.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%s: want an RSA public key in PEM, not %s", path, describePEM(block))
	}
	return key, checkKeySize(path, key.N.BitLen())
}

// describePEM says what a file has in place of the key, and how to get the key. It names no file of the user as one to write.
func describePEM(block *pem.Block) string {
	switch kind := block.Type; {
	case strings.Contains(kind, "ENCRYPTED") || block.Headers["DEK-Info"] != "":
		return "an encrypted key: openssl rsa -in ENCRYPTED.pem -out PRIVATE.pem decrypts it"
	case kind == "OPENSSH PRIVATE KEY":
		return "a key of ssh: openssl genrsa -out PRIVATE.pem 3072 makes one for bundles"
	case strings.HasSuffix(kind, "PRIVATE KEY"):
		return "a private key of another use or algorithm: openssl genrsa -out PRIVATE.pem 3072 makes one for bundles, and openssl rsa -in PRIVATE.pem -pubout -out PUBLIC.pem its public key"
	default:
		return fmt.Sprintf("a %s: openssl rsa -in PRIVATE.pem -pubout -out PUBLIC.pem writes the public key of a private one", strings.ToLower(kind))
	}
}

func readPEM(path string) (*pem.Block, error) {
	text, err := readfile.Read(path, maxKeyBytes)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: want a key in PEM", path)
	}
	return block, nil
}

func checkKeySize(path string, bits int) error {
	if bits < minKeyBits {
		return fmt.Errorf("%s: want an RSA key of at least %d bits, not %d", path, minKeyBits, bits)
	}
	return nil
}
