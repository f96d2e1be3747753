package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

const (
	issuer   = "https://tyk.demo.meshpass.dev"
	listFile = "revoked.yaml"
	// Subjects that are revoked from the start: in Redis, which authorizers read, and in the file, which the gateway also reads.
	revokedInRedis, revokedInFile = "key:partner-7", "key:partner-8"
)

// environment has the servers of a run that are not part of the local mesh.
type environment struct {
	list   *redisServer
	keySet *keySetServer
}

func newEnvironment() (*environment, error) {
	list, err := newRedis()
	if err != nil {
		return nil, err
	}
	keySet, err := newKeySetServer()
	if err != nil {
		return nil, err
	}
	return &environment{list: list, keySet: keySet}, nil
}

func (e *environment) close() error { return errors.Join(e.keySet.kill(), e.list.kill()) }

// startServers starts Redis and the key set's server, and changes the configuration of the mesh's programs to
// use them.
func (e *environment) startServers(ctx context.Context, dir string) error {
	e.keySet.file, e.list.dir = filepath.Join(dir, "jwks.json"), dir
	if err := e.keySet.start(ctx); err != nil {
		return err
	}
	if err := e.list.start(ctx); err != nil {
		return err
	}
	if err := e.writeRevocations(ctx, filepath.Join(dir, listFile)); err != nil {
		return err
	}
	configs, err := filepath.Glob(filepath.Join(dir, "meshpass*.yaml"))
	if err != nil {
		return err
	}
	for _, config := range configs {
		if err := editFile(config, e.authorizerConfig(), map[string]string{
			"jwks: {file: jwks.json}": fmt.Sprintf("jwks: {url: %q, refresh: 1s, maxStale: 1h, seed: %s.seed}", e.keySet.url(), config),
		}); err != nil {
			return err
		}
	}
	plugin := fmt.Sprintf("revocation: {file: %s}\n", listFile)
	// Short tokens, so that keys also leave the set within a run.
	if err := editFile(filepath.Join(dir, "identity.yaml"), plugin, map[string]string{"lifetime: 60s": "lifetime: 10s"}); err != nil {
		return err
	}
	return editFile(filepath.Join(dir, "policies.json"), "", map[string]string{`"rate": 5,`: `"rate": 50000,`})
}

// authorizerConfig returns what is added to an authorizer's configuration. With onStale: deny, one that was
// restarted and cannot read the list allows no request.
func (e *environment) authorizerConfig() string {
	return fmt.Sprintf(`revocation: {file: %s, redis: {address: %q}, maxStale: 1m, onStale: deny}
cache: {verifiedTokens: 100000}
insecure: {jwksOverHTTP: true}
`, listFile, e.list.address)
}

func (e *environment) writeRevocations(ctx context.Context, file string) error {
	lifetime := []string{"--issuer", issuer, "--for", "24h"}
	for _, args := range [][]string{
		{"init", "--redis", e.list.address},
		{"init", "--file", file},
		append([]string{"sub", "--redis", e.list.address}, append(lifetime, revokedInRedis)...),
		append([]string{"sub", "--file", file}, append(lifetime, revokedInFile)...),
	} {
		if _, err := runMeshpass(ctx, append([]string{"revoke"}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// parts returns the servers and programs that are killed in turn.
func (e *environment) parts(mesh *localmesh.Mesh, keys *rotator) []part {
	authorizer := func(name string) part {
		return part{name: name, kill: func() error { return mesh.Kill(name) },
			start: func(ctx context.Context) error { return mesh.Restart(ctx, name) }}
	}
	survivor := authorizer("meshpass")
	survivor.spared = true
	return []part{
		{name: "Redis", kill: e.list.kill, start: e.list.start},
		survivor,
		{name: "key set's server", kill: e.keySet.kill, start: e.keySet.start, rotator: keys},
		authorizer("meshpass-2"),
	}
}

// editFile replaces texts in a configuration, which must be in it, and appends more.
func editFile(file, more string, replace map[string]string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for from, to := range replace {
		if !bytes.Contains(text, []byte(from)) {
			return fmt.Errorf("%s does not contain %q", file, from)
		}
		text = bytes.ReplaceAll(text, []byte(from), []byte(to))
	}
	return os.WriteFile(file, append(text, more...), 0o600)
}
