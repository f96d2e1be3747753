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

// writeKeys makes a gateway's key directory with one key, which signs at once, and publishes it.
func (e *Environment) writeKeys(ctx context.Context, g gateway) error {
	if err := os.RemoveAll(e.path(g.home, "keys")); err != nil {
		return err
	}
	if err := e.meshpass(ctx, "keys", "new", "--dir", e.path(g.home, "keys"), "--first"); err != nil {
		return err
	}
	return e.publish(ctx, g)
}

// newKey adds a key that signs after lead, and publishes it.
func (e *Environment) newKey(ctx context.Context, g gateway, lead time.Duration) error {
	if err := e.meshpass(ctx, "keys", "new", "--dir", e.path(g.home, "keys"), "--lead", lead.String()); err != nil {
		return err
	}
	return e.publish(ctx, g)
}

func (e *Environment) publish(ctx context.Context, g gateway) error {
	return e.meshpass(ctx, "keys", "publish", "--dir", e.path(g.home, "keys"), "--out", e.path(g.jwks))
}

// giveKeys puts each key directory into its gateway's Secret, and the published sets into the
// authorizers' ConfigMap.
func (e *Environment) giveKeys(ctx context.Context) error {
	create := []string{"create", "configmap", "meshpass-jwks", "-n", e.at.authorizers.namespace}
	for _, g := range e.at.gateways {
		create = append(create, "--from-file="+e.path(g.jwks))
	}
	if err := e.derived(ctx, create...); err != nil {
		return err
	}
	for _, g := range e.at.gateways {
		if err := e.giveSigningKeys(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (e *Environment) giveSigningKeys(ctx context.Context, g gateway) error {
	names, err := filepath.Glob(e.path(g.home, "keys", "*.*"))
	if err != nil {
		return err
	}
	if len(names) < 2 {
		return errors.New("a key directory holds keys.yaml and a key")
	}
	create := []string{"create", "secret", "generic", "meshpass-signing-keys", "-n", g.namespace}
	for _, name := range names {
		create = append(create, "--from-file="+name)
	}
	return e.derived(ctx, create...)
}
