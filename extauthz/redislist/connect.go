package redislist

import (
	"context"
	"crypto/tls"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/extauthz/transport"
	"github.com/meshpass/meshpass/shared/readfile"
	"github.com/meshpass/meshpass/shared/revocation"
)

// silent: the library would write to standard error past our log, which tells the
// same from the errors.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func init() { redis.SetLogger(silent{}) }

// Config says where the list is.
type Config struct {
	Address      string // HOST:PORT
	Username     string // may be empty
	PasswordFile string // likewise
	CAFile       string // who vouches for the server; empty: no TLS
	Key          string
}

const maxSecretBytes = 64 << 10

// connect does not speak to the server yet.
func connect(c Config) (*redis.Client, error) {
	options := &redis.Options{
		Addr: c.Address, Username: c.Username, ContextTimeoutEnabled: true, DisableIdentity: true,
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, MaxRetries: -1, DialerRetries: 1, PoolSize: 2,
	}
	if c.PasswordFile != "" {
		data, err := readfile.Read(c.PasswordFile, maxSecretBytes)
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

func nonEmpty(document string) ([]byte, error) {
	if document == "" {
		return nil, ErrNone
	}
	return []byte(document), nil
}
