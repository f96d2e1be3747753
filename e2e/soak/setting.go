package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
)

const (
	issuer   = "https://tyk.demo.meshpass.dev"
	listFile = "revoked.yaml"
	// Revoked from the start: one in Redis, which authorizers read, and one in the file, which the gateway reads too.
	inRedis, inFile = "key:partner-7", "key:partner-8"
)

// setting is what a run has beside the local mesh.
type setting struct {
	list    *redisServer
	keySet  *keySetServer
	metrics string // address of the plugin's
}

func newSetting() (*setting, error) {
	list, err := newRedis()
	if err != nil {
		return nil, err
	}
	keySet, err := newKeySetServer()
	if err != nil {
		return nil, err
	}
	metrics, err := freeAddress()
	return &setting{list, keySet, metrics}, err
}

func (s *setting) close() error { return errors.Join(s.keySet.kill(), s.list.kill()) }

// prepare starts what the mesh's programs will ask, and has their configuration name it.
func (s *setting) prepare(ctx context.Context, dir string) error {
	s.keySet.file, s.list.dir = filepath.Join(dir, "jwks.json"), dir
	if err := s.keySet.start(ctx); err != nil {
		return err
	}
	if err := s.list.start(ctx); err != nil {
		return err
	}
	if err := s.revoke(ctx, filepath.Join(dir, listFile)); err != nil {
		return err
	}
	configs, err := filepath.Glob(filepath.Join(dir, "meshpass*.yaml"))
	if err != nil {
		return err
	}
	for _, config := range configs {
		if err := edit(config, s.authorizer(), map[string]string{
			"jwks: {file: jwks.json}": fmt.Sprintf("jwks: {url: %q, refresh: 1s, maxStale: 1h, seed: %s.seed}", s.keySet.url(), config),
		}); err != nil {
			return err
		}
	}
	plugin := fmt.Sprintf("revocation: {file: %s}\nmetrics: %q\n", listFile, s.metrics)
	// Short tokens, so that keys also leave the set within a run.
	if err := edit(filepath.Join(dir, "identity.yaml"), plugin, map[string]string{"lifetime: 60s": "lifetime: 10s"}); err != nil {
		return err
	}
	return edit(filepath.Join(dir, "policies.json"), "", map[string]string{`"rate": 5,`: `"rate": 50000,`})
}

// authorizer: a restarted one that cannot read the list lets nobody in.
func (s *setting) authorizer() string {
	return fmt.Sprintf(`revocation: {file: %s, redis: {address: %q}, maxStale: 1m, onStale: deny}
cache: {verifiedTokens: 100000}
insecure: {jwksOverHTTP: true}
`, listFile, s.list.address)
}

func (s *setting) revoke(ctx context.Context, file string) error {
	forHours := []string{"--issuer", issuer, "--for", "24h"}
	for _, args := range [][]string{
		{"init", "--redis", s.list.address},
		{"init", "--file", file},
		append([]string{"sub", "--redis", s.list.address}, append(forHours, inRedis)...),
		append([]string{"sub", "--file", file}, append(forHours, inFile)...),
	} {
		if _, err := meshpass(ctx, append([]string{"revoke"}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// parts are killed in turn.
func (s *setting) parts(mesh *localmesh.Mesh, keys *rotor) []part {
	authorizer := func(name string) part {
		return part{name: name, kill: func() error { return mesh.Kill(name) },
			start: func(ctx context.Context) error { return mesh.Restart(ctx, name) }}
	}
	return []part{
		{name: "Redis", kill: s.list.kill, start: s.list.start},
		authorizer("meshpass"),
		{name: "key set's server", kill: s.keySet.kill, start: s.keySet.start, hold: keys},
		authorizer("meshpass-2"),
	}
}

// edit appends to a configuration, after replacing texts that it must hold.
func edit(file, more string, replace map[string]string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for from, to := range replace {
		if !bytes.Contains(text, []byte(from)) {
			return fmt.Errorf("%s does not hold %q", file, from)
		}
		text = bytes.ReplaceAll(text, []byte(from), []byte(to))
	}
	return os.WriteFile(file, append(text, more...), 0o600)
}

// meshpass runs the program as an operator does, and returns what it prints.
func meshpass(ctx context.Context, args ...string) ([]byte, error) {
	program, err := repo.Bin("meshpass", "meshpass")
	if err != nil {
		return nil, err
	}
	var output, complaint bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = &output, &complaint
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("meshpass %s: %w: %s", strings.Join(args[:2], " "), err, &complaint)
	}
	return output.Bytes(), nil
}
