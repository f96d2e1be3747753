package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/meshpass/meshpass/extauthz/redislist"
	"github.com/meshpass/meshpass/extauthz/revoke"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/secretfile"
)

// valueFrom is the argument, or the session of the key on standard input: an
// argument could be seen by everybody on the machine, and a key is a secret.
func (c command) valueFrom(secretFile string, args []string) (string, error) {
	switch {
	case secretFile == "" && len(args) == 1:
		return args[0], nil
	case secretFile == "":
		return "", errors.New("one value is needed")
	case len(args) > 0:
		return "", errors.New("with --secret-file the key comes from standard input, never as an argument")
	}
	data, err := secretfile.Read(secretFile, secretfile.Secret, 64<<10)
	if err != nil {
		return "", err
	}
	secret, err := identity.ParseSecret(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", secretFile, err)
	}
	key, err := io.ReadAll(io.LimitReader(c.stdin, 64<<10))
	if err != nil {
		return "", err
	}
	name := strings.TrimRight(string(key), "\r\n")
	if name == "" {
		return "", errors.New("no key on standard input")
	}
	return secret.Pseudonym(name), nil
}

// atList opens the list that the flags name.
func (c command) atList(f revocationFlags, do func(revoke.Store, revoke.Order) (printer, error)) int {
	if (f.file == "") == (f.redis.Address == "") {
		return c.misused("name one list, --file or --redis")
	}
	if f.format != "" && f.format != "json" {
		return c.misused("-o %s: want json", f.format)
	}
	var store revoke.Store = revoke.File(f.file)
	if f.file == "" {
		if err := f.redis.CheckAddress(); err != nil {
			return c.misused("--redis: %s", err)
		}
		if err := f.redis.CheckTLS(); err != nil && !f.plain {
			return c.failed(fmt.Errorf("--redis: %w; name --redis-ca, or say --redis-without-tls", err))
		}
		remote, err := redislist.Open(f.redis)
		if err != nil {
			return c.failed(err)
		}
		defer func() { _ = remote.Close() }() // all is written
		store = remote
	}
	answer, err := do(store, f.order)
	if code := c.printed(answer, err, f.format); code == fine || !errors.Is(err, revoke.ErrNo) && !errors.Is(err, revocation.ErrFull) {
		return code
	}
	return no
}
