// Package hbone is a stand-in for ztunnel, Istio's node proxy of ambient mode, on the side of
// the caller. It is not ztunnel: it captures no connections, reads no configuration and
// enforces no policy.
//
// It sends the same bytes as ztunnel. HBONE is HTTP/2 CONNECT over mutual TLS to port 15008,
// with the address and port of the called service as authority, and bytes of any protocol in
// the stream. The certificate is that of the calling workload, so that a waypoint knows the
// caller from the tunnel and not from the bytes in it.
package hbone

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const openTimeout = 5 * time.Second

// Port is the port for HBONE of a waypoint, a ztunnel and a sidecar.
const Port = 15008

// Dialer opens tunnels with the certificate of one workload. ztunnel shares a connection among
// tunnels. Here each tunnel has a connection of its own.
type Dialer struct{ workload *tls.Config }

// NewDialer makes a dialer with the certificate and the roots of a workload.
func NewDialer(workload *tls.Config) *Dialer {
	config := workload.Clone()
	config.NextProtos = []string{"h2"}
	return &Dialer{config}
}

// ErrRefused is the error for a peer that was reached and did not open the tunnel: it answered
// with an error, or closed the connection. In TLS 1.3 a server verifies the client's certificate
// after the client has finished its handshake.
var ErrRefused = errors.New("the peer did not open the tunnel")

// Dial opens a tunnel through peer (IP:port) to authority (IP:port of the service or the pod).
// ctx bounds only the opening.
func (d *Dialer) Dial(ctx context.Context, peer, authority string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	stream, end := context.WithCancel(context.Background())
	defer context.AfterFunc(ctx, end)()
	transport, reached := d.newTransport()
	out, in := io.Pipe()
	response, err := transport.RoundTrip((&http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Scheme: "https", Host: peer},
		Host:   authority,
		Header: http.Header{},
		Body:   out,
	}).WithContext(stream))
	switch {
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("opening a tunnel through %s: %w", peer, ctx.Err())
	case err != nil && reached.Load():
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	case err == nil && response.StatusCode != http.StatusOK:
		err = errors.Join(fmt.Errorf("%w: %s", ErrRefused, response.Status), response.Body.Close())
	}
	if err != nil {
		end()
		return nil, err
	}
	return &tunnelConn{Reader: response.Body, in: in, peer: peer, end: func() { end(); transport.CloseIdleConnections() }}, nil
}

// newTransport makes a transport for one connection. The flag is set after its handshake.
func (d *Dialer) newTransport() (*http.Transport, *atomic.Bool) {
	reached := &atomic.Bool{}
	dialer := tls.Dialer{Config: d.workload}
	return &http.Transport{
		ForceAttemptHTTP2: true,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			reached.Store(err == nil)
			return conn, err
		},
	}, reached
}

// tunnelConn is a tunnel as a connection. It has no deadlines: close it instead.
type tunnelConn struct {
	io.Reader
	in   *io.PipeWriter
	peer string
	end  func()
}

func (c *tunnelConn) Write(data []byte) (int, error) { return c.in.Write(data) }

func (c *tunnelConn) Close() error {
	err := c.in.Close()
	c.end()
	return err
}

func (c *tunnelConn) LocalAddr() net.Addr              { return tunnelAddr("") }
func (c *tunnelConn) RemoteAddr() net.Addr             { return tunnelAddr(c.peer) }
func (c *tunnelConn) SetDeadline(time.Time) error      { return nil }
func (c *tunnelConn) SetReadDeadline(time.Time) error  { return nil }
func (c *tunnelConn) SetWriteDeadline(time.Time) error { return nil }

type tunnelAddr string

func (tunnelAddr) Network() string  { return "hbone" }
func (t tunnelAddr) String() string { return string(t) }
