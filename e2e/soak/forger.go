package soak

import (
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/keyset"
)

// forger makes tokens for alice that are signed with a key of its own, which has the algorithm of the gateway's key, and name the
// gateway's key in kid.
type forger struct {
	pluginConfig, keyDirs string // keyDirs has a folder for each algorithm
	rotator               *rotator
}

func newForger(dir string, honest *rotator) (*forger, error) {
	f := &forger{pluginConfig: filepath.Join(dir, "identity.yaml"), keyDirs: filepath.Join(dir, "forger"), rotator: honest}
	now := time.Now()
	plan := keyset.Plan{PublishAt: now, SignFrom: now, SignUntil: now.AddDate(0, 0, 1), RemoveAfter: now.AddDate(0, 0, 2)}
	for _, algorithm := range rotatedAlgorithms {
		keyDir := filepath.Join(f.keyDirs, algorithm)
		if err := os.MkdirAll(keyDir, 0o700); err != nil {
			return nil, err
		}
		if _, err := keyset.CreateKey(keyDir, algorithm, plan); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *forger) forgeToken() (string, error) {
	kid, algorithm := f.rotator.signingKey()
	raw, err := scenarios.Token{Subject: "demo:alice", Scope: "orders.read", Claims: map[string]string{"tenant": "acme"}}.SignWith(f.pluginConfig, filepath.Join(f.keyDirs, algorithm))
	if err != nil {
		return "", err
	}
	return scenarios.RenameKey(raw, kid)
}
