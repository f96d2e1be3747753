package app

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/certtest"
)

// shown is the certificate that a new connection gets, and the protocol that both
// agreed on.
func shown(t *testing.T, address string, ca certtest.CA, client ...tls.Certificate) (*x509.Certificate, string) {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{
		RootCAs: ca.CertPool(), ServerName: "meshpass.meshpass.svc", Certificates: client, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12,
	})
	defer release(t, raw)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	state := conn.ConnectionState()
	return state.PeerCertificates[0], state.NegotiatedProtocol
}

// Certificates are renewed while connections are open: these stay, new ones get
// the new certificate, and who may ask follows the client CA.
func TestCertificatesAreFollowed(t *testing.T) {
	ca := certtest.NewCA(t)
	client := ca.IssueLeaf(time.Now().Add(lasting), sidecarID).TLS
	f := newTLSFiles(t, ca, mutual, oneListener)
	r := start(t, f.config, quickly)
	address := r.addresses()[0]
	open := dialTLS(t, address, ca, client)
	if got := reasonOf(t, open, t.Context(), order(t, gateway)); got != "rule_allowed" {
		t.Fatal(got)
	}

	renewed := ca.IssueLeaf(time.Now().Add(2*lasting), ourName)
	f.certify(renewed)
	eventually(t, "the new certificate is not shown", func() bool {
		certificate, protocol := shown(t, address, ca, client)
		return certificate.Equal(renewed.TLS.Leaf) && protocol == "h2"
	})
	if got := reasonOf(t, open, t.Context(), order(t, gateway)); got != "rule_allowed" {
		t.Errorf("the open connection: %s", got)
	}
	want := "meshpass_tls_certificate_expiry_timestamp_seconds " + strconv.FormatFloat(float64(renewed.TLS.Leaf.NotAfter.Unix()), 'g', -1, 64) + "\n"
	if metrics := body(t, r.ops()+"/metrics"); !strings.Contains(metrics, want) {
		t.Errorf("metrics: want %s", want)
	}

	other := certtest.NewCA(t)
	f.write("ca.pem", other.PEM())
	eventually(t, "the new client CA is not active", func() bool {
		_, err := dialTLS(t, address, ca, other.IssueLeaf(time.Now().Add(lasting), sidecarID).TLS).Check(t.Context(), order(t, gateway))
		return err == nil
	})
	if _, err := dialTLS(t, address, ca, client).Check(t.Context(), order(t, gateway)); err == nil {
		t.Error("a client of the former CA is let in")
	}
}

// Files that cannot be served leave the last good certificate active, and show in readiness.
func TestABadCertificateKeepsTheLastGoodOne(t *testing.T) {
	ca := certtest.NewCA(t)
	client := ca.IssueLeaf(time.Now().Add(lasting), sidecarID).TLS
	expired, other := ca.IssueLeaf(time.Now().Add(-time.Minute), ourName), ca.IssueLeaf(time.Now().Add(lasting), ourName)
	for _, row := range []struct{ name, cert, key, problem string }{
		{"expired", expired.Cert, expired.Key, "cert.pem: expired at "},
		{"half-written", other.Cert[:len(other.Cert)/2], "", "cert.pem: no certificate"},
		{"not of its key", other.Cert, "", "private key does not match public key"},
		{"empty", " ", "", "cert.pem: no certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newTLSFiles(t, ca, mutual, oneListener)
			r := start(t, f.config, quickly)
			a := asked{r, dialTLS(t, r.addresses()[0], ca, client)}
			before, _ := shown(t, r.addresses()[0], ca, client)

			if row.key != "" {
				f.write("key.pem", row.key)
			}
			f.write("cert.pem", row.cert)
			eventually(t, "not refused: "+row.problem, func() bool { return strings.Contains(a.log.String(), row.problem) })
			if after, _ := shown(t, r.addresses()[0], ca, client); !after.Equal(before) {
				t.Error("another certificate is shown")
			}
			if got := reasonOf(t, a, t.Context(), order(t, gateway)); got != "rule_allowed" {
				t.Errorf("got %s", got)
			}
			for _, want := range []string{"ready\n", "what should replace it is rejected:\n", row.problem} {
				if got := body(t, a.ops()+"/readyz"); !strings.Contains(got, want) {
					t.Errorf("readyz: got %s, want %s", got, want)
				}
			}

			f.certify(other)
			eventually(t, "not fixed", func() bool {
				certificate, _ := shown(t, r.addresses()[0], ca, client)
				return certificate.Equal(other.TLS.Leaf) && !strings.Contains(body(t, a.ops()+"/readyz"), "rejected")
			})
		})
	}
}

// An expired certificate does not even start.
func TestAnExpiredCertificateDoesNotStart(t *testing.T) {
	ca := certtest.NewCA(t)
	f := newTLSFiles(t, ca, mutual, oneListener)
	f.certify(ca.IssueLeaf(time.Now().Add(-time.Minute), ourName))
	_, err := loadAuthorizer(process(f.config))
	if want := "cert.pem: expired at "; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Without client certificates anyone who reaches the port may ask; that is logged.
func TestServerTLS(t *testing.T) {
	ca := certtest.NewCA(t)
	f := newTLSFiles(t, ca, "{mode: server, certFile: cert.pem, keyFile: key.pem}", oneListener)
	r := start(t, f.config)
	for name, certificates := range map[string][]tls.Certificate{"none": nil, "one of another CA": {certtest.NewCA(t).IssueLeaf(time.Now().Add(lasting), gateway).TLS}} {
		if got := reasonOf(t, dialTLS(t, r.addresses()[0], ca, certificates...), t.Context(), order(t, gateway)); got != "rule_allowed" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if _, err := dialTLS(t, r.addresses()[0], certtest.NewCA(t)).Check(t.Context(), order(t, gateway)); err == nil {
		t.Error("a client that trusts another CA talks to us")
	}
	if r.logged("tls.mode server: anyone who can reach a listener may ask on it") != 1 {
		t.Errorf("log: %s", r.log.String())
	}
}
