package kind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
)

// meshpass runs the command that operators run.
func (e *Environment) meshpass(ctx context.Context, args ...string) error {
	path, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return err
	}
	_, err = e.tool(ctx, nil, path, args...)
	return err
}

// writeKeys makes a key directory with one key, which signs at once, and publishes it.
func (e *Environment) writeKeys(ctx context.Context) error {
	if err := os.RemoveAll(e.path("keys")); err != nil {
		return err
	}
	if err := e.meshpass(ctx, "keys", "new", "--dir", e.path("keys"), "--first"); err != nil {
		return err
	}
	return e.publish(ctx)
}

// newKey adds a key that signs after lead, and publishes it.
func (e *Environment) newKey(ctx context.Context, lead time.Duration) error {
	if err := e.meshpass(ctx, "keys", "new", "--dir", e.path("keys"), "--lead", lead.String()); err != nil {
		return err
	}
	return e.publish(ctx)
}

func (e *Environment) publish(ctx context.Context) error {
	return e.meshpass(ctx, "keys", "publish", "--dir", e.path("keys"), "--out", e.path("jwks.json"))
}

// giveKeys puts the key directory into the gateway's Secret and the published set into the
// authorizer's ConfigMap.
func (e *Environment) giveKeys(ctx context.Context) error {
	if err := e.derived(ctx, "create", "configmap", "meshpass-jwks", "-n", "meshpass", "--from-file=jwks.json="+e.path("jwks.json")); err != nil {
		return err
	}
	names, err := filepath.Glob(e.path("keys", "*.*"))
	if err != nil {
		return err
	}
	if len(names) < 2 {
		return errors.New("a key directory holds keys.yaml and a key")
	}
	create := []string{"create", "secret", "generic", "meshpass-signing-keys", "-n", "edge"}
	for _, name := range names {
		create = append(create, "--from-file="+name)
	}
	return e.derived(ctx, create...)
}
