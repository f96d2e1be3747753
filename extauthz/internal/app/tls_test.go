package app

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/certtest"
)

const (
	ourName   = "spiffe://cluster.local/ns/meshpass/sa/meshpass"
	sidecarID = "spiffe://cluster.local/ns/shop/sa/orders"
	waypoint  = "spiffe://cluster.local/ns/shop/sa/waypoint"
	mutual    = `{mode: mtls, certFile: cert.pem, keyFile: key.pem, clientCAFile: ca.pem, clients: [ns/shop/sa/*]}`
	lasting   = time.Hour
)

// newTLSFiles is a configuration that ends TLS, with certificates of the CA.
func newTLSFiles(t *testing.T, ca certtest.CA, mode, settings string) files {
	t.Helper()
	f := newFiles(t, settings, mode)
	f.write("ca.pem", ca.PEM())
	f.certify(ca.IssueLeaf(time.Now().Add(lasting), ourName))
	return f
}

func (f files) certify(leaf certtest.Leaf) {
	f.t.Helper()
	f.write("key.pem", leaf.Key)
	f.write("cert.pem", leaf.Cert)
}

// dialTLS shows the certificates that are given, if any.
func dialTLS(t *testing.T, address string, ca certtest.CA, certificates ...tls.Certificate) auth.AuthorizationClient {
	t.Helper()
	config := &tls.Config{RootCAs: ca.CertPool(), ServerName: "meshpass.meshpass.svc", Certificates: certificates, MinVersion: tls.VersionTLS12}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t, conn) })
	return auth.NewAuthorizationClient(conn)
}

// Who may ask is the certificate that the client proves to hold.
func TestMutualTLSClients(t *testing.T) {
	ca, foreign := certtest.NewCA(t), certtest.NewCA(t)
	until := time.Now().Add(lasting)
	f := newTLSFiles(t, ca, mutual, strings.Replace(oneListener, "127.0.0.1:0", "0.0.0.0:0", 1))
	r := start(t, f.config)
	address := "127.0.0.1" + r.addresses()[0][len("[::]"):]
	for _, row := range []struct {
		name   string
		shown  []tls.Certificate
		reason string // empty: there is no connection
		log    string
	}{
		{"a client that is named", []tls.Certificate{ca.IssueLeaf(until, sidecarID).TLS}, "rule_allowed", ""},
		{"one that is not", []tls.Certificate{ca.IssueLeaf(until, gateway).TLS}, "", "ns/edge/sa/tyk-gateway is not among tls.clients"},
		{"another trust domain, of the same CA", []tls.Certificate{ca.IssueLeaf(until, "spiffe://evil.example/ns/shop/sa/orders").TLS}, "", "spiffe://evil.example/ns/shop/sa/orders is not among"},
		{"two names", []tls.Certificate{ca.IssueLeaf(until, sidecarID, gateway).TLS}, "", "2 URIs, want 1"},
		{"a DNS name only", []tls.Certificate{ca.IssueLeaf(until).TLS}, "", "0 URIs, want 1"},
		{"a URI that is no SPIFFE id", []tls.Certificate{ca.IssueLeaf(until, "https://shop.example/ns/shop/sa/orders").TLS}, "", "not a SPIFFE id"},
		{"an expired certificate", []tls.Certificate{ca.IssueLeaf(time.Now().Add(-time.Minute), sidecarID).TLS}, "", "certificate has expired"},
		{"of another CA", []tls.Certificate{foreign.IssueLeaf(until, sidecarID).TLS}, "", "certificate signed by unknown authority"},
		{"none", nil, "", "client didn't provide a certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(r.log.String())
			// What a client writes into its metadata is nothing here.
			ctx := metadata.AppendToOutgoingContext(t.Context(), decide.XFCCHeader, from(sidecarID))
			answer, err := dialTLS(t, address, ca, row.shown...).Check(ctx, order(t, gateway))
			if got := answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); got != row.reason || (err != nil) != (row.reason == "") {
				t.Errorf("got %q, %v; want %q", got, err, row.reason)
			}
			eventually(t, "the log does not say "+row.log, func() bool { return strings.Contains(r.log.String()[before:], row.log) })
		})
	}
}

// XFCC is trusted only of those clients that the listener itself names, though
// others may ask elsewhere.
func TestXFCCOnlyFromTheClientsNamed(t *testing.T) {
	ca := certtest.NewCA(t)
	until := time.Now().Add(lasting)
	f := newTLSFiles(t, ca, mutual, `
listeners:
  - {name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}
  - {name: waypoint, grpc: "127.0.0.1:0", caller: xfcc, callee: gateway/shop, clients: [ns/shop/sa/waypoint, ns/*/sa/tyk-gateway]}
`)
	f.write("policies/orders.yaml", `
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders, gateway/shop]}
  rules: [{name: from-the-edge, effect: allow, from: {workloads: [ns/edge/sa/tyk-gateway]}, scopes: [orders.read]}]
`)
	r := start(t, f.config)
	const sidecarPort, waypointPort = 0, 1
	for _, row := range []struct {
		name           string
		port           int
		client, caller string // who asks, and who calls by XFCC
		reason, log    string // no reason: there is no connection
	}{
		{"the waypoint", waypointPort, waypoint, gateway, "rule_allowed", ""},
		{"the waypoint, of another caller", waypointPort, waypoint, sidecarID, "no_rule", ""},
		{"a sidecar in the gateway's name", waypointPort, sidecarID, gateway, "", "ns/shop/sa/orders is not among the listener's clients"},
		{"a client of the listener, not of tls.clients", waypointPort, gateway, gateway, "", "ns/edge/sa/tyk-gateway is not among tls.clients"},
		{"a sidecar where it may ask", sidecarPort, sidecarID, gateway, "condition_error", ""},
		{"the waypoint where XFCC is nothing", sidecarPort, waypoint, gateway, "condition_error", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(r.log.String())
			request := order(t, "")
			request.Attributes.Request.Http.Headers[decide.XFCCHeader] = from(row.caller)
			client := dialTLS(t, r.addresses()[row.port], ca, ca.IssueLeaf(until, row.client).TLS)
			answer, err := client.Check(t.Context(), request)
			if got := answer.GetDynamicMetadata().GetFields()["reason"].GetStringValue(); got != row.reason || (err != nil) != (row.reason == "") {
				t.Errorf("got %q, %v; want %q", got, err, row.reason)
			}
			eventually(t, "the log does not say "+row.log, func() bool { return strings.Contains(r.log.String()[before:], row.log) })
		})
	}
}
