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

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/shared/revocation"
)

// discardLogger: the library would write to standard error past our log, which tells the
// same from the errors.
type discardLogger struct{}

func (discardLogger) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(discardLogger{}) }

// Config says where the list is.
type Config struct {
	Address      string // HOST:PORT, or unix:PATH for a socket
	Username     string // may be empty
	PasswordFile string // likewise
	CAFile       string // who vouches for the server; empty: no TLS
	Key          string
}

const maxSecretBytes = 64 << 10

// ErrPlain says that the connection would be readable and writable on its way.
var ErrNoTLS = errors.New("a connection without TLS to another machine: anyone on the way could revoke tokens, lift what is revoked, and read the password")

// unixPrefix begins the address of a socket of this machine.
const unixPrefix = "unix:"

// CheckAddress rejects what is no address.
func (c Config) CheckAddress() error {
	if path, socket := strings.CutPrefix(c.Address, unixPrefix); socket && filepath.IsAbs(path) {
		return nil
	}
	_, port, err := net.SplitHostPort(c.Address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 {
		return fmt.Errorf("%q is no address: write HOST:PORT", c.Address)
	}
	return nil
}

// CheckTLS rejects a connection that leaves this machine without TLS, as [ErrNoTLS].
func (c Config) CheckTLS() error {
	host, _, _ := net.SplitHostPort(c.Address)
	ip := net.ParseIP(host)
	if c.CAFile != "" || strings.HasPrefix(c.Address, unixPrefix) || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return ErrNoTLS
}

// newClient does not speak to the server yet.
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

// getDocument asks for the document; at most a byte more of it than a list may have.
func getDocument(ctx context.Context, from redis.Cmdable, key string) *redis.StringCmd {
	return from.GetRange(ctx, key, 0, revocation.MaxBytes)
}

func requireDocument(document string) ([]byte, error) {
	if document == "" {
		return nil, ErrNoList
	}
	return []byte(document), nil
}
