package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/secretfile"
)

// Files are PEM files.
type Files struct {
	Cert     string // the authorizer's own, with the intermediate certificates after it
	Key      string
	ClientCA string // authorities of clients; empty: clients are not asked for a certificate
}

// Paths lists the files that are read.
func (f Files) Paths() []string {
	paths := []string{f.Cert, f.Key}
	if f.ClientCA != "" {
		paths = append(paths, f.ClientCA)
	}
	return paths
}

// Read rejects files that are half-written, do not fit together or have expired at the
// given time. A certificate that is not valid yet is accepted: clocks differ,
// and unchanged files are not read again.
func (f Files) Read(now time.Time) (*Material, error) {
	certificate, err := f.readCertificate(now)
	if err != nil {
		return nil, err
	}
	if f.ClientCA == "" {
		return newMaterial(certificate, nil), nil
	}
	authorities, err := readCertPool(f.ClientCA)
	if err != nil {
		return nil, err
	}
	return newMaterial(certificate, authorities), nil
}

func (f Files) readCertificate(now time.Time) (tls.Certificate, error) {
	if _, err := readCertificates(f.Cert); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := f.readPair()
	if err != nil {
		return pair, fmt.Errorf("%s with %s: %w", f.Cert, f.Key, err)
	}
	if now.After(pair.Leaf.NotAfter) {
		return pair, fmt.Errorf("%s: expired at %s", f.Cert, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return pair, nil
}

func (f Files) readPair() (tls.Certificate, error) {
	cert, err := readfile.Read(f.Cert, maxFileBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := secretfile.Read(f.Key, secretfile.Secret, maxFileBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}

// Roots reads the certificates of the authorities against which a server is checked, in PEM. It is
// nil for no file: the system's authorities are then used.
func Roots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	return readCertPool(file)
}

func readCertPool(file string) (*x509.CertPool, error) {
	authorities, err := readCertificates(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, authority := range authorities {
		pool.AddCert(authority)
	}
	return pool, nil
}

// maxFileBytes is more than the certificates of all public authorities take.
const maxFileBytes = 4 << 20

// readCertificates wants every block to be a whole certificate, unlike the library's
// own readers, which skip what they cannot read.
func readCertificates(file string) ([]*x509.Certificate, error) {
	rest, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for {
		before := rest
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		n := len(all) + 1
		if read := before[:len(before)-len(rest)]; bytes.Count(read, []byte("-----BEGIN ")) != 1 {
			return nil, fmt.Errorf("%s: a block before block %d is cut off or damaged", file, n)
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: block %d is a %s, not a CERTIFICATE", file, n, block.Type)
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: block %d is not a certificate: %w", file, n, err)
		}
		all = append(all, one)
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("%s: no certificate in PEM", file)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%s: the text after block %d is cut off, or not a certificate", file, len(all))
	}
	return all, nil
}
