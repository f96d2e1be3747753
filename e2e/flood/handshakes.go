package flood

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/pace"
)

// badConnection is a connection that does not get through its handshake.
type badConnection struct {
	name    string
	senders int // connections of this kind at one time
	use     func(net.Conn, *tls.Config) (outcome string)
}

// badConnections hold more connections than may be in their handshake (extauthz/internal/limits.Handshakes).
var badConnections = []badConnection{
	{"garbage", 8, sendGarbage},
	{"half-open", 120, sendNothing},
	{"wrong authority", 4, offerWrongCertificate},
	{"slow", 120, shakeSlowly},
}

// openBadConnections opens connections of all kinds until ctx ends. A peer that was connected before is
// asked all the time.
func (f *flood) openBadConnections(ctx context.Context) error {
	stranger, err := sds.NewAuthority()
	if err != nil {
		return err
	}
	config, err := f.authorizer.clientTLS(stranger)
	if err != nil {
		return err
	}
	var (
		all   sync.WaitGroup
		asked error
	)
	all.Go(func() { asked = f.askRegularly(ctx) })
	for _, bad := range f.kind.connect {
		for range bad.senders {
			all.Go(func() {
				for f.pace.Wait(ctx) {
					f.tally.count(bad.name + ": " + f.openOne(ctx, bad, config))
				}
			})
		}
	}
	all.Wait()
	return asked
}

// connectionTime bounds a connection that the authorizer does not close.
const connectionTime = 20 * time.Second

// openOne opens a connection from one of many addresses, because each address has few ports. A connection that
// was opened is used to its end, so that one that the authorizer does not close is noticed.
func (f *flood) openOne(ctx context.Context, bad badConnection, config *tls.Config) (outcome string) {
	n := f.next.take()
	dialer := net.Dialer{Timeout: connectionTime, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1+byte(n/250%250), 1+byte(n%250))}}
	conn, err := dialer.DialContext(context.WithoutCancel(ctx), "tcp", f.authorizer.grpc)
	if err != nil {
		var cause syscall.Errno // without the addresses, which differ
		errors.As(err, &cause)
		return fmt.Sprintf("not opened (%v)", cause)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(connectionTime)) // fails only on a closed connection
	return bad.use(conn, config)
}

// Outcomes of a connection that must not be seen.
const (
	staysOpen = "stays open"
	accepted  = "accepted"
)

// awaitClose reads until the peer closes the connection.
func awaitClose(conn net.Conn) string {
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		return staysOpen
	}
	return "closed"
}

func sendGarbage(conn net.Conn, _ *tls.Config) string {
	garbage := make([]byte, 1024)
	_, _ = rand.Read(garbage)  // never fails
	_, _ = conn.Write(garbage) // the peer may close it at the first byte
	return awaitClose(conn)
}

func sendNothing(conn net.Conn, _ *tls.Config) string { return awaitClose(conn) }

// offerWrongCertificate has a certificate with the right name, of an authority that is not trusted.
func offerWrongCertificate(conn net.Conn, config *tls.Config) string {
	secured := tls.Client(conn, config)
	err := secured.Handshake()
	if err == nil { // with TLS 1.3 the client is done first
		_, err = secured.Read(make([]byte, 1))
	}
	switch {
	case err == nil:
		return accepted
	case errors.Is(err, os.ErrDeadlineExceeded):
		return staysOpen
	default:
		return "rejected"
	}
}

// slowness is the time between two bytes of a handshake that never ends.
const slowness = 50 * time.Millisecond

func shakeSlowly(conn net.Conn, config *tls.Config) string {
	slow := &slowConn{Conn: conn}
	_ = tls.Client(slow, config).Handshake() // does not succeed: the authorizer closes the connection
	return awaitClose(conn)
}

// slowConn sends one byte at a time.
type slowConn struct{ net.Conn }

func (c *slowConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		time.Sleep(slowness)
		if _, err = c.Conn.Write(p[n : n+1]); err == nil {
			n++
		}
	}
	return n, err
}

// askInterval is the time between two Checks beside bad connections.
const askInterval = 50 * time.Millisecond

// askRegularly asks on a connection that was made before the flood.
func (f *flood) askRegularly(ctx context.Context) error {
	conn, err := f.authorizer.connect()
	if err != nil {
		return err
	}
	for pace.For(ctx, askInterval) && err == nil {
		var valid string
		if valid, err = f.authorizer.validToken(); err == nil {
			f.tally.count(ask(context.WithoutCancel(ctx), conn, checks.New(valid)))
		}
	}
	return errors.Join(err, conn.Close())
}
