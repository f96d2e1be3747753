package kind

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
)

// runMeshpass runs the command meshpass, as operators do.
func (e *Environment) runMeshpass(ctx context.Context, args ...string) error {
	path, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return err
	}
	_, err = e.runTool(ctx, nil, path, args...)
	return err
}

// writeKeys makes a gateway's key directory with one key, which signs at once, and publishes it.
func (e *Environment) writeKeys(ctx context.Context, g gateway) error {
	if err := os.RemoveAll(e.runFile(g.home, "keys")); err != nil {
		return err
	}
	if err := e.runMeshpass(ctx, "keys", "new", "--dir", e.runFile(g.home, "keys"), "--first"); err != nil {
		return err
	}
	return e.publishKeys(ctx, g)
}

// addKey adds a key that signs after lead, and publishes it.
func (e *Environment) addKey(ctx context.Context, g gateway, lead time.Duration) error {
	if err := e.runMeshpass(ctx, "keys", "new", "--dir", e.runFile(g.home, "keys"), "--lead", lead.String()); err != nil {
		return err
	}
	return e.publishKeys(ctx, g)
}

func (e *Environment) publishKeys(ctx context.Context, g gateway) error {
	return e.runMeshpass(ctx, "keys", "publish", "--dir", e.runFile(g.home, "keys"), "--out", e.runFile(g.jwks))
}

// applyKeys puts each key directory into its gateway's Secret, and the published sets into the
// authorizers' ConfigMap.
func (e *Environment) applyKeys(ctx context.Context) error {
	create := []string{"create", "configmap", "meshpass-jwks", "-n", e.current.authorizers.namespace}
	for _, g := range e.current.gateways {
		create = append(create, "--from-file="+e.runFile(g.jwks))
	}
	if err := e.applyCreated(ctx, create...); err != nil {
		return err
	}
	for _, g := range e.current.gateways {
		if err := e.applySigningKeys(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (e *Environment) applySigningKeys(ctx context.Context, g gateway) error {
	names, err := filepath.Glob(e.runFile(g.home, "keys", "*.*"))
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
	return e.applyCreated(ctx, create...)
}
