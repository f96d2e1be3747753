// Package transport serves TLS to the Envoys that ask, and knows them by the
// certificates that they show. Certificates and CAs are in files that change while
// the process runs: Istio's agent renews its own (OUTPUT_CERTS) several times a day. The
// files are read and checked as a whole; every new connection uses the last good content.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Material is the content of the files at one moment.
type Material struct {
	config   *tls.Config
	notAfter time.Time
}

// NotAfter is when the authorizer's own certificate expires.
func (m *Material) NotAfter() time.Time { return m.notAfter }

// newMaterial: a nil pool asks clients for no certificate.
func newMaterial(certificate tls.Certificate, clients *x509.CertPool) *Material {
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2"},
		// A resumed session would outlive the CA that issued its client's certificate.
		SessionTicketsDisabled: true,
	}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	return &Material{config: config, notAfter: certificate.Leaf.NotAfter}
}

// Credentials answer each handshake with the material of that moment. A peer gets no connection
// if admit returns an error. It is called in the handshake, before the peer can send anything
// else, and gets no certificate if the material asks for no certificates. A handshake that fails is
// passed to report: such a client sees a closed connection, and there is no Check or record of it.
func Credentials(current func() *Material, admit func(tls.ConnectionState) error, report func(client net.Addr, err error)) credentials.TransportCredentials {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := current().config.Clone()
			config.VerifyConnection = func(state tls.ConnectionState) error { return admit(state) }
			return config, nil
		},
	}
	return reportingCredentials{credentials.NewTLS(config), report}
}

// reportingCredentials report handshakes that fail. A gRPC server does not clone them.
type reportingCredentials struct {
	credentials.TransportCredentials
	report func(net.Addr, error)
}

// ServerHandshake does not report a probe that connects and goes away, or a
// connection that was closed on this side in the meantime.
func (r reportingCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := r.TransportCredentials.ServerHandshake(raw)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		r.report(raw.RemoteAddr(), err)
	}
	return conn, info, err
}

// ErrNoClient is the error of a client without a SPIFFE id.
var ErrNoClient = errors.New("no SPIFFE id in the client's certificate")

// ClientIDFromContext returns the SPIFFE id of a call's client, as [ClientIDFromTLS] does.
func ClientIDFromContext(ctx context.Context) (string, error) {
	from, _ := peer.FromContext(ctx)
	if from == nil {
		return "", ErrNoClient
	}
	info, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return "", ErrNoClient
	}
	return ClientIDFromTLS(info.State)
}

// ClientIDFromTLS returns the URI of the certificate that a client showed and the handshake
// verified. A SPIFFE certificate has exactly one (X509-SVID section 2); if there are two,
// neither names its holder.
func ClientIDFromTLS(state tls.ConnectionState) (string, error) {
	if len(state.VerifiedChains) == 0 {
		return "", ErrNoClient
	}
	uris := state.PeerCertificates[0].URIs
	if len(uris) != 1 {
		return "", fmt.Errorf("%w: %d URIs, want 1", ErrNoClient, len(uris))
	}
	return uris[0].String(), nil
}
