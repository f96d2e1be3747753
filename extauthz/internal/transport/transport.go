// Package transport serves TLS to the Envoys that ask, and knows them by the
// certificates that they show. Certificates and CAs are files that change while
// we run: Istio's agent renews its own (OUTPUT_CERTS) several times a day. What
// the files hold is read and checked as a whole; every new connection uses what
// was good last.
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

// Material is what the files held at one moment.
type Material struct {
	config   *tls.Config
	notAfter time.Time
}

// NotAfter is when our own certificate expires.
func (m *Material) NotAfter() time.Time { return m.notAfter }

// newMaterial: a nil pool asks clients for no certificate.
func newMaterial(certificate tls.Certificate, clients *x509.CertPool) *Material {
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2"},
		// A resumed session would outlive the CA that vouched for its client.
		SessionTicketsDisabled: true,
	}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, clients
	}
	return &Material{config: config, notAfter: certificate.Leaf.NotAfter}
}

// Credentials answer each handshake with the material of that moment, and only
// with peers that mayAsk names no reason against. It is asked in the handshake, before the
// peer can send anything else; mayAsk gets no certificate where the material asks
// for none. Handshakes that fail are reported to failed: such a client sees a closed
// connection, and no Check or record of it exists.
func Credentials(current func() *Material, mayAsk func(tls.ConnectionState) error, failed func(client net.Addr, err error)) credentials.TransportCredentials {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			config := current().config.Clone()
			config.VerifyConnection = func(state tls.ConnectionState) error { return mayAsk(state) }
			return config, nil
		},
	}
	return reporting{credentials.NewTLS(config), failed}
}

// reporting is for servers, which take credentials as they are given.
type reporting struct {
	credentials.TransportCredentials
	failed func(net.Addr, error)
}

// ServerHandshake does not report a probe that connects and goes away, and a
// connection that was closed here meanwhile.
func (r reporting) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := r.TransportCredentials.ServerHandshake(raw)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		r.failed(raw.RemoteAddr(), err)
	}
	return conn, info, err
}

// ErrNoClient says that a call's client has no SPIFFE id.
var ErrNoClient = errors.New("no SPIFFE id in the client's certificate")

// Client gives the SPIFFE id of a call's client, as [ClientOf] does.
func Client(ctx context.Context) (string, error) {
	from, _ := peer.FromContext(ctx)
	if from == nil {
		return "", ErrNoClient
	}
	info, ok := from.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return "", ErrNoClient
	}
	return ClientOf(info.State)
}

// ClientOf gives the URI of the certificate that a client showed and the handshake
// verified. A SPIFFE certificate has exactly one (X509-SVID section 2); of two,
// neither names its holder.
func ClientOf(state tls.ConnectionState) (string, error) {
	if len(state.VerifiedChains) == 0 {
		return "", ErrNoClient
	}
	uris := state.PeerCertificates[0].URIs
	if len(uris) != 1 {
		return "", fmt.Errorf("%w: %d URIs, want 1", ErrNoClient, len(uris))
	}
	return uris[0].String(), nil
}
