package sds

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Authority signs workload certificates. Its key exists in memory only.
type Authority struct {
	// Lifetime of the certificates: a day by default. Change it only while the authority is
	// not served.
	Lifetime time.Duration

	cert *x509.Certificate
	key  crypto.Signer
}

// NewAuthority makes a new key and a root certificate for it.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := newTemplate(day)
	template.Subject = pkix.Name{CommonName: "meshpass local mesh"}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{Lifetime: day, cert: cert, key: key}, err
}

// OpenAuthority uses an existing root certificate and key, both PEM.
func OpenAuthority(cert, key []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", pair.PrivateKey)
	}
	return &Authority{Lifetime: day, cert: pair.Leaf, key: signer}, nil
}

func newTemplate(lifetime time.Duration) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128)) // never fails: crypto/rand aborts instead
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(lifetime),
	}
}

// Names are the names in a certificate. As with Istio, the only name of a workload is its SPIFFE
// id, in URIs. Other names are for clients that do not belong to the mesh.
type Names struct {
	URIs []*url.URL
	DNS  []string
}

// ParseNames reads one name: a SPIFFE id, or dns:NAME.
func ParseNames(name string) (Names, error) {
	if dns, ok := strings.CutPrefix(name, "dns:"); ok {
		return Names{DNS: []string{dns}}, nil
	}
	id, err := url.Parse(name)
	if err != nil || id.Scheme != "spiffe" {
		return Names{}, fmt.Errorf("%q is no sender: write ns/NAMESPACE/sa/NAME, a SPIFFE id or dns:NAME", name)
	}
	return Names{URIs: []*url.URL{id}}, nil
}

// Pair is a certificate and its key, both PEM; the key is PKCS #8.
type Pair struct{ Cert, Key []byte }

// Issue signs a new key for names, as client and as server.
func (a *Authority) Issue(names Names) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	template := newTemplate(a.Lifetime)
	template.URIs, template.DNSNames = names.URIs, names.DNS
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return Pair{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	return Pair{toPEM("CERTIFICATE", der), toPEM("PRIVATE KEY", pkcs8)}, err
}

// RootPEM is the root certificate.
func (a *Authority) RootPEM() []byte { return toPEM("CERTIFICATE", a.cert.Raw) }

func toPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
