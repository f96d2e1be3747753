package soak

import (
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/keyset"
)

// forger makes tokens for alice that are signed with a key of its own, and name the gateway's key in kid.
type forger struct {
	pluginConfig, keyDir string
	rotator              *rotator
}

func newForger(dir string, honest *rotator) (*forger, error) {
	f := &forger{pluginConfig: filepath.Join(dir, "identity.yaml"), keyDir: filepath.Join(dir, "forger"), rotator: honest}
	if err := os.Mkdir(f.keyDir, 0o700); err != nil {
		return nil, err
	}
	now := time.Now()
	_, err := keyset.CreateKey(f.keyDir, keyset.ES256, keyset.Plan{PublishAt: now, SignFrom: now, SignUntil: now.AddDate(0, 0, 1), RemoveAfter: now.AddDate(0, 0, 2)})
	return f, err
}

func (f *forger) forgeToken() (string, error) {
	raw, err := scenarios.Token{Subject: "demo:alice", Scope: "orders.read", Claims: map[string]string{"tenant": "acme"}}.SignWith(f.pluginConfig, f.keyDir)
	if err != nil {
		return "", err
	}
	return scenarios.RenameKey(raw, f.rotator.signingKey())
}
