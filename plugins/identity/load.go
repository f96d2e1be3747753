package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

func newSigner(log *slog.Logger) *signer {
	return &signer{log: log, now: time.Now, audit: auditTrails.log(defaultAudit, log)}
}

// assemble makes a signer of parts that are complete.
func assemble(p *parts, log *slog.Logger) (*signer, error) {
	s := &signer{log: log, now: time.Now, config: p.config}
	s.secret, s.keys, s.revoked = p.secret.Get(), p.keys.Get(), new(revocation.List)
	if p.revoked != nil {
		s.revoked = p.revoked.Get()
	}
	if p.policies != nil {
		s.policies = p.policies.Get().Set
	}
	minter := p.config.minter(s.keys)
	minter.Now = func() time.Time { return s.now() }
	var err error
	if s.minter, err = token.NewMinter(minter); err != nil {
		return nil, refuse(decision.NoSigningKey, "keys.dir: %w", err)
	}
	s.audit = auditTrails.log(p.config.Audit, log) // last: its limits count for the trail from here on
	return s, nil
}

// maxFileBytes is far more than the configuration takes.
const maxFileBytes = 1 << 20

func readConfig(file string) (*config, error) {
	if file == "" {
		return nil, fmt.Errorf("the environment variable %s is not set: name the plugin's configuration file and restart the gateway", configVariable)
	}
	data, err := readfile.Read(file, maxFileBytes)
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

func readSecret(file string) (identity.PseudonymKey, error) {
	data, err := secretfile.Read(file, secretfile.Secret, maxFileBytes)
	if err != nil {
		return nil, err
	}
	secret, err := identity.ParsePseudonymKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return secret, nil
}
