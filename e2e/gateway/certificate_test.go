package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net/http"
	"testing"
	"time"
)

// certified is a self-signed certificate, as clients of Tyk may have.
type certified struct {
	tls.Certificate
	pem, key []byte
	print    string // SHA-256, in hex
}

func certify(t *testing.T, name string, ends time.Duration) certified {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ends)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	sum := sha256.Sum256(der)
	return certified{
		Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, print: hex.EncodeToString(sum[:]),
		pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

const overTLS = `{"http_server_options": {"use_ssl": true, "certificates": [{"domain_name": "*", "cert_file": "server.crt", "key_file": "server.key"}]}}`

// TestCertificates: a key that a certificate opens (dynamic mutual TLS), and an API that asks for nothing but a
// certificate of its list (static).
func TestCertificates(t *testing.T) {
	server, partner, listed, stranger := certify(t, "gateway", time.Hour), certify(t, "partner-7", time.Hour), certify(t, "listed", 40*time.Second), certify(t, "partner-7", time.Hour)
	r := start(t, setup{conf: overTLS, files: map[string]string{"server.crt": string(server.pem), "server.key": string(server.key)}, apis: []definition{
		{id: "dynamic", json: `{"auth": {"use_certificate": true}, "auth_configs": {"authToken": {"auth_header_name": "Authorization", "use_certificate": true}}}`},
		{id: "key", json: `{}`},
		{id: "static", json: `{"use_keyless": true, "use_standard_auth": false, "use_mutual_tls_auth": true, "client_certificates": ["demo` + listed.print + `"]}`},
	}}).serving(t)
	for _, c := range []certified{partner, listed} {
		status, body, err := r.control(t.Context(), http.MethodPost, "/tyk/certs?org_id=demo", string(c.pem))
		must(t, err)
		if status != http.StatusOK {
			t.Fatalf("certificate: %d %s", status, body)
		}
	}
	name := r.create(t, "/tyk/keys/create", `{"certificate": "demo`+partner.print+`"}`)["key"].(string)
	chain := stranger.Certificate
	chain.Certificate = append(chain.Certificate, listed.Certificate.Certificate...)
	unbound := answer{401, "claims_unbound", unreached}
	for _, row := range []struct {
		name, api string
		as        *tls.Certificate
		key       string
		subject   string // "": refused
		refused   answer
	}{
		{"certificate of a key", "dynamic", &partner.Certificate, "", "mtls:" + partner.print, answer{}},
		{"another certificate with the same name in it", "dynamic", &stranger.Certificate, "", "", answer{403, "Access to this API has been disallowed", unreached}},
		{"the name of a certificate's session as key", "dynamic", nil, name, "", unbound},
		{"the same where certificates are not asked for", "key", nil, name, "", unbound},
		{"listed certificate", "static", &listed.Certificate, "", "mtls:" + listed.print, answer{}},
		{"a stranger who sends a listed certificate along", "static", &chain, "", "", unbound},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := call{path: "/" + row.api + "/"}
			if row.as != nil {
				c.certificates = []tls.Certificate{*row.as}
			}
			if row.key != "" {
				c.header = http.Header{"Authorization": {row.key}}
			}
			got := r.send(t, c)
			if row.subject == "" {
				if got.answer != row.refused {
					t.Errorf("got %+v, want %+v", got.answer, row.refused)
				}
			} else if got.claims == nil || got.claims.Subject != row.subject {
				t.Fatalf("got %+v %s with %+v, want %s", got.answer, got.body, got.claims, row.subject)
			}
			if row.as == &listed.Certificate && got.claims.Expires.Sub(got.claims.IssuedAt) > 40*time.Second {
				t.Errorf("the token lives %v, the certificate not as long", got.claims.Expires.Sub(got.claims.IssuedAt))
			}
		})
	}
}
