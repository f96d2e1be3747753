package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

func newSigner(log *slog.Logger) *signer {
	return &signer{log: log, now: time.Now, audit: auditTrails.log(defaultAudit, log)}
}

// load makes a signer of the configuration and what it names: all of it is good,
// or there is none.
func load(file string, log *slog.Logger) (*signer, error) {
	s := newSigner(log)
	return s, s.configure(file)
}

func (s *signer) configure(file string) (err error) {
	if file == "" {
		return refuse(decision.NotConfigured, "the environment variable %s is not set: name the plugin's configuration file and restart the gateway", configVariable)
	}
	if s.config, err = readConfig(file); err != nil {
		return &sourceError{configSource, refuse(decision.NotConfigured, "%w", err)}
	}
	s.audit = auditTrails.log(s.config.Audit, s.log)
	if s.secret, err = readSecret(s.config.SecretFile); err != nil {
		return &sourceError{secretSource, refuse(decision.NotConfigured, "secretFile: %w", err)}
	}
	if err := s.loadRevocations(); err != nil {
		return err
	}
	if err := s.loadPolicies(); err != nil {
		return err
	}
	return s.loadKeys()
}

func readConfig(file string) (*config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(file, data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	c.generation = hex.EncodeToString(sum[:6])
	return c, nil
}

func (s *signer) loadKeys() (err error) {
	s.keys, err = keyset.LoadSigning(s.config.Keys.Dir)
	if err == nil {
		s.minter, err = token.NewMinter(token.MinterConfig{
			Issuer: s.config.Issuer, Audience: s.config.Audience, Keys: s.keys,
			Lifetime: s.config.Lifetime, MinRemaining: s.config.MinRemaining, Now: s.now,
		})
	}
	if err != nil {
		return &sourceError{keysSource, refuse(decision.NoSigningKey, "keys.dir: %w", err)}
	}
	return nil
}

func readSecret(file string) (identity.Secret, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	secret, err := identity.ParseSecret(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return secret, nil
}
