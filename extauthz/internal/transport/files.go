package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/secretfile"
)

// Files are PEM files.
type Files struct {
	Cert     string // ours, with the intermediate certificates after it
	Key      string
	ClientCA string // who vouches for clients; empty: clients are not asked for a certificate
}

// Paths lists the files that are read.
func (f Files) Paths() []string {
	paths := []string{f.Cert, f.Key}
	if f.ClientCA != "" {
		paths = append(paths, f.ClientCA)
	}
	return paths
}

// Read refuses what is half-written, does not fit together or is expired at the
// time that is given. A certificate that is not valid yet is taken: clocks differ,
// and nobody would look at unchanged files again.
func (f Files) Read(now time.Time) (*Material, error) {
	certificate, err := f.certificate(now)
	if err != nil {
		return nil, err
	}
	if f.ClientCA == "" {
		return newMaterial(certificate, nil), nil
	}
	authorities, err := certificates(f.ClientCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, authority := range authorities {
		pool.AddCert(authority)
	}
	return newMaterial(certificate, pool), nil
}

func (f Files) certificate(now time.Time) (tls.Certificate, error) {
	if _, err := certificates(f.Cert); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := f.pair()
	if err != nil {
		return pair, fmt.Errorf("%s with %s: %w", f.Cert, f.Key, err)
	}
	if now.After(pair.Leaf.NotAfter) {
		return pair, fmt.Errorf("%s: expired at %s", f.Cert, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return pair, nil
}

func (f Files) pair() (tls.Certificate, error) {
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

// maxFileBytes is more than the certificates of all public authorities take.
const maxFileBytes = 4 << 20

var errNoCertificate = errors.New("no certificate")

// certificates wants every block to be a whole certificate, unlike the library's
// own readers, which pass over what they cannot read.
func certificates(file string) ([]*x509.Certificate, error) {
	rest, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s: %w: block %d is a %s", file, errNoCertificate, len(all)+1, block.Type)
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: block %d: %w", file, errNoCertificate, len(all)+1, err)
		}
		all = append(all, one)
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("%s: %w", file, errNoCertificate)
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%s: %w: what stands after block %d is cut off or none", file, errNoCertificate, len(all))
	}
	return all, nil
}
