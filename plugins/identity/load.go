package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// minSecret is the length of HMAC-SHA256's output, below which a key weakens it
// (RFC 2104 section 3).
const minSecret = 32

// load never fails: what cannot start refuses every request, and says in the log
// what to mend.
func load(file string, log *slog.Logger) *signer {
	s := &signer{log: log, now: time.Now, audit: audit.New(os.Stdout)}
	if s.broken = s.configure(file); s.broken != nil {
		log.Error("every request of an API with this plugin is refused: mend the cause and restart the gateway",
			"file", file, "error", s.broken.Error())
		return s
	}
	log.Info("ready to sign", "file", file, "issuer", s.config.Issuer, "audience", s.config.Audience)
	return s
}

func (s *signer) configure(file string) error {
	if file == "" {
		return refuse(decision.NotConfigured, "the environment variable %s is not set: name the plugin's configuration file", configVariable)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return refuse(decision.NotConfigured, "%w", err)
	}
	if s.config, err = parseConfig(file, data); err != nil {
		return refuse(decision.NotConfigured, "%w", err)
	}
	s.audit = audit.New(s.config.auditWriter())
	if s.secret, err = readSecret(s.config.SecretFile); err != nil {
		return refuse(decision.NotConfigured, "secretFile: %w", err)
	}
	return s.loadKeys()
}

func (s *signer) loadKeys() error {
	keys, err := keyset.LoadSigning(s.config.Keys.Dir)
	if err == nil {
		s.minter, err = token.NewMinter(token.MinterConfig{
			Issuer: s.config.Issuer, Audience: s.config.Audience, Keys: keys,
			Lifetime: s.config.Lifetime, MinRemaining: s.config.MinRemaining, Now: s.now,
		})
	}
	if err != nil {
		return refuse(decision.NoSigningKey, "keys.dir: %w", err)
	}
	return nil
}

func (c *config) auditWriter() io.Writer {
	if c.Audit.Output == "stderr" {
		return os.Stderr
	}
	return os.Stdout
}

// readSecret drops the newline that editors and `echo` leave at the end.
func readSecret(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if data = bytes.TrimRight(data, "\r\n"); len(data) < minSecret {
		return nil, fmt.Errorf("%s: %d bytes: want at least %d (openssl rand -base64 32)", file, len(data), minSecret)
	}
	return data, nil
}
