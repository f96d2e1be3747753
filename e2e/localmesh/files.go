package localmesh

import (
	"context"
	"crypto/rand"
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

//go:embed config
var config embed.FS

// writeFiles fills the run's folder. Programs are started in it, so that checked-in configuration
// can name its neighbours without a path.
func (m *Mesh) writeFiles(context.Context) error {
	for _, folder := range []string{"keys", "policies", "apis", "cluster", "middleware"} {
		if err := os.Mkdir(m.path(folder), 0o755); err != nil {
			return err
		}
	}
	own, err := fs.Sub(config, "config")
	if err != nil {
		return err
	}
	if err := m.net.CopyDir(m.dir, own); err != nil {
		return err
	}
	if err := m.net.CopyDir(m.path("policies"), os.DirFS(filepath.Join(m.root, "manifests", "policies"))); err != nil {
		return err
	}
	if err := m.copyTykPolicies(); err != nil {
		return err
	}
	if err := m.writeKeys(); err != nil {
		return err
	}
	if err := m.writeAPIs(); err != nil {
		return err
	}
	if m.options.Prepare != nil {
		return m.options.Prepare(m.dir)
	}
	return nil
}

// copyTykPolicies takes Tyk's policies as shipped; what else lies beside them is a cluster's.
func (m *Mesh) copyTykPolicies() error {
	shipped, err := os.ReadFile(filepath.Join(m.root, "manifests", "tyk", "policies.json"))
	if err != nil {
		return err
	}
	return os.WriteFile(m.path("policies.json"), shipped, 0o644)
}

// writeKeys makes the run's signing key, publishes it in the file that the authorizer trusts, and
// makes the secret with which the plugin hashes key ids.
func (m *Mesh) writeKeys() error {
	now := time.Now()
	plan := keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Minute), SignUntil: now.AddDate(0, 0, 1), RemoveAfter: now.AddDate(0, 0, 2)}
	if _, err := keyset.New(m.path("keys"), "ES256", plan); err != nil {
		return err
	}
	keys, err := keyset.LoadSigning(m.path("keys"))
	if err != nil {
		return err
	}
	published, err := keys.JWKS(now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.path("jwks.json"), published, 0o644); err != nil {
		return err
	}
	return os.WriteFile(m.path("hmac"), []byte(rand.Text()+rand.Text()), 0o600)
}
