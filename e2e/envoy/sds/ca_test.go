package sds

import (
	"crypto/rand"
	"crypto/rsa"
	gotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Istio's own control plane has an RSA key, in PKCS #1.
func TestAnAuthorityFromElsewhereSigns(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	root := newTemplate(day)
	root.Subject = pkix.Name{Organization: []string{"cluster.local"}}
	root.IsCA, root.BasicConstraintsValid, root.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := OpenAuthority(toPEM("CERTIFICATE", der), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	if err != nil {
		t.Fatal(err)
	}
	names, err := ParseNames("spiffe://cluster.local/ns/shop/sa/orders")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(names)
	if err != nil {
		t.Fatal(err)
	}
	own, err := gotls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.RootPEM())
	if _, err := own.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if _, err := OpenAuthority(pair.Cert, nil); err == nil {
		t.Error("an authority without a key")
	}
}

func TestParseNames(t *testing.T) {
	id := &url.URL{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/shop/sa/orders"}
	for name, want := range map[string]Names{
		id.String():          {URIs: []*url.URL{id}},
		"dns:orders.example": {DNS: []string{"orders.example"}},
	} {
		if got, err := ParseNames(name); err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: got %v (%v), want %v", name, got, err, want)
		}
	}
	for _, bad := range []string{"orders", "ns/shop/sa/orders", "https://orders.example", "spiffe://%zz"} {
		if got, err := ParseNames(bad); err == nil {
			t.Errorf("%s: got %v", bad, got)
		}
	}
}
