// Package certtest makes certificates of a mesh for tests. Never trust them elsewhere.
package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"
)

// CA signs certificates.
type CA struct {
	t           testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA makes a CA with a new key.
func NewCA(t testing.TB) CA {
	t.Helper()
	ca := CA{t: t, key: generateKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TEST CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.certificate = ca.signCertificate(template, template, ca.key)
	return ca
}

// PEM is the CA's certificate.
func (ca CA) PEM() string { return encodePEM("CERTIFICATE", ca.certificate.Raw) }

// CertPool contains the certificate of the CA.
func (ca CA) CertPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	return pool
}

// Leaf is a certificate with its key.
type Leaf struct {
	Cert, Key string // PEM
	TLS       tls.Certificate
}

// IssueLeaf makes a certificate for these URIs, for clients and servers, that is valid
// until then.
func (ca CA) IssueLeaf(until time.Time, uris ...string) Leaf {
	ca.t.Helper()
	key := generateKey(ca.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		DNSNames:    []string{"meshpass.meshpass.svc"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, text := range uris {
		uri, err := url.Parse(text)
		if err != nil {
			ca.t.Fatal(err)
		}
		template.URIs = append(template.URIs, uri)
	}
	certificate := ca.signCertificate(template, ca.certificate, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return Leaf{
		Cert: encodePEM("CERTIFICATE", certificate.Raw), Key: encodePEM("PRIVATE KEY", der),
		TLS: tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate},
	}
}

func (ca CA) signCertificate(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	ca.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return certificate
}

func generateKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
