package incluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // deprecated, but the type of client-go's SPDY dialer
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/spdy"

	"github.com/meshpass/meshpass/extauthz/internal/doctor"
)

// forwarder connects to ports of pods through the API server, as kubectl port-forward does, without a local port. The
// kubelet connects from within the pod, so sidecars and NetworkPolicies do not apply.
type forwarder struct {
	config  *rest.Config
	timeout time.Duration
}

// newClient is a client whose connections all lead to one port of a pod.
func (f forwarder) newClient(namespace, name string, port int) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := f.dial(ctx, namespace, name, port)
				if err != nil {
					return nil, fmt.Errorf("%w by port-forward: %w", doctor.ErrNotReached, err)
				}
				return conn, nil
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial opens a connection. The library takes no context, so a dial that comes too late is closed.
func (f forwarder) dial(ctx context.Context, namespace, name string, port int) (net.Conn, error) {
	type result struct {
		conn *podConn
		err  error
	}
	opened := make(chan result, 1)
	go func() {
		conn, err := f.open(namespace, name, port)
		opened <- result{conn, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, r.err
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() {
			if r := <-opened; r.err == nil {
				_ = r.conn.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

func (f forwarder) open(namespace, name string, port int) (*podConn, error) {
	dialer, err := f.newDialer(namespace, name)
	if err != nil {
		return nil, err
	}
	conn, _, err := dialer.Dial(protocol)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set("port", strconv.Itoa(port))
	header.Set("requestID", "0")
	header.Set("streamType", "error")
	failures, err := conn.CreateStream(header)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	_ = failures.Close() // nothing is written to it
	header.Set("streamType", "data")
	data, err := conn.CreateStream(header)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	p := &podConn{Stream: data, conn: conn, failed: make(chan error, 1)}
	go func() {
		message, _ := io.ReadAll(failures)
		if len(message) > 0 {
			p.failed <- errors.New(shortenFailure(string(message)))
		}
		close(p.failed)
	}()
	return p, nil
}

// protocol is that of port-forward over SPDY. WebSocket would need client-go's tools/portforward, which makes the program, and so
// the authorizer, 6 MiB larger in memory.
const protocol = "portforward.k8s.io"

func (f forwarder) newDialer(namespace, name string) (httpstream.Dialer, error) {
	server, _, err := rest.DefaultServerUrlFor(f.config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(f.config)
	if err != nil {
		return nil, err
	}
	at := server.JoinPath("api/v1/namespaces", namespace, "pods", name, "portforward")
	return spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at), nil
}

// shortenFailure keeps the cause, as in: error forwarding port 9092 to pod ...: connect: connection refused.
func shortenFailure(message string) string {
	return strings.TrimSpace(message[strings.LastIndex(message, ": ")+1:]) + " in the pod"
}

// podConn is a connection to a port of a pod.
type podConn struct {
	httpstream.Stream
	conn   httpstream.Connection
	failed chan error // gets why the kubelet could not connect
}

// failureBound is how long the cause may take after the end of the data.
const failureBound = time.Second

func (c *podConn) Read(into []byte) (int, error) {
	n, err := c.Stream.Read(into)
	if n > 0 || err == nil {
		return n, err
	}
	select {
	case failure := <-c.failed:
		if failure != nil {
			return 0, failure
		}
	case <-time.After(failureBound):
	}
	return 0, err
}

func (c *podConn) Close() error {
	_ = c.Stream.Reset()
	return c.conn.Close()
}

func (c *podConn) LocalAddr() net.Addr              { return podAddr{} }
func (c *podConn) RemoteAddr() net.Addr             { return podAddr{} }
func (c *podConn) SetDeadline(time.Time) error      { return nil } // the client's context bounds it
func (c *podConn) SetReadDeadline(time.Time) error  { return nil }
func (c *podConn) SetWriteDeadline(time.Time) error { return nil }

type podAddr struct{}

func (podAddr) Network() string { return "port-forward" }
func (podAddr) String() string  { return "pod" }
