package redislist

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/shared/revocation"
)

// discardLogger keeps the library from writing to standard error. Its messages are in
// the errors that we log.
type discardLogger struct{}

func (discardLogger) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(discardLogger{}) }

// DefaultKey is the key of the document unless configured.
const DefaultKey = "meshpass:revocations"

// timeout of each step: a list is polled every second.
const timeout = time.Second

// Config is the address of the list, and how to connect.
type Config struct {
	Address      string // HOST:PORT, or unix:PATH for a socket
	Username     string // empty: Redis's default user
	PasswordFile string // empty: no password
	CAFile       string // PEM of the authorities that may sign the server's certificate; empty: no TLS
	Key          string
}

const maxSecretBytes = 64 << 10

var (
	// ErrNoList is the error of a key that does not exist or is empty. A Redis that was
	// wiped looks like one that was never used, so an empty list must be made explicitly.
	ErrNoList = errors.New("no list under this key: make one with meshpass revoke init; if there was a list, Redis has lost it")
	// ErrOlderList is the error of a list whose serial is lower than before.
	ErrOlderList = errors.New("the list is older than the one before: Redis was restored, or answers from a replica that lags")
	// ErrCutOff is the error of a server that may not have the latest list.
	ErrCutOff = errors.New("this Redis is not a primary and not connected to one, so its list may be old")
	// ErrNoRole is the error of a server that does not report whether it is a primary.
	ErrNoRole = errors.New("Redis does not answer ROLE, so a replica without a link to its primary would count as current")
)

// ErrNoTLS is the error of a connection that others on the network could read and change.
var ErrNoTLS = errors.New("a connection without TLS to another machine: anyone on the network path could add and remove revocations, and read the password")

// unixPrefix is the prefix of the address of a Unix socket.
const unixPrefix = "unix:"

// CheckAddress rejects an invalid address.
func (c Config) CheckAddress() error {
	if path, socket := strings.CutPrefix(c.Address, unixPrefix); socket && filepath.IsAbs(path) {
		return nil
	}
	_, port, err := net.SplitHostPort(c.Address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		return fmt.Errorf("%q is not an address: write HOST:PORT, or unix:PATH with an absolute path", c.Address)
	}
	return nil
}

// IsSocket reports whether the address is a Unix socket.
func (c Config) IsSocket() bool { return strings.HasPrefix(c.Address, unixPrefix) }

// CheckTLS rejects a connection without TLS to another machine, with [ErrNoTLS].
func (c Config) CheckTLS() error {
	host, _, _ := net.SplitHostPort(c.Address)
	ip := net.ParseIP(host)
	if c.CAFile != "" || c.IsSocket() || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return ErrNoTLS
}

// newClient does not connect yet.
func newClient(c Config) (*redis.Client, error) {
	options := &redis.Options{
		Addr: c.Address, Username: c.Username, ContextTimeoutEnabled: true, DisableIdentity: true,
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, MaxRetries: -1, DialerRetries: 1, PoolSize: 2,
	}
	if path, socket := strings.CutPrefix(c.Address, unixPrefix); socket {
		options.Network, options.Addr = "unix", path
	}
	if c.PasswordFile != "" {
		data, err := secretfile.Read(c.PasswordFile, secretfile.Secret, maxSecretBytes)
		if err != nil {
			return nil, err
		}
		options.Password = strings.TrimRight(string(data), "\r\n")
	}
	if c.CAFile != "" {
		roots, err := transport.Roots(c.CAFile)
		if err != nil {
			return nil, err
		}
		options.TLSConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return redis.NewClient(options), nil
}

// getDocument reads the document, at most one byte more than a list may have.
func getDocument(ctx context.Context, from redis.Cmdable, key string) *redis.StringCmd {
	return from.GetRange(ctx, key, 0, revocation.MaxBytes)
}

// requireDocument returns the document, or [ErrNoList] if it is empty.
func requireDocument(document string) ([]byte, error) {
	if document == "" {
		return nil, ErrNoList
	}
	return []byte(document), nil
}
