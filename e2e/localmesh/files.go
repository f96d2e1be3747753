package localmesh

import (
	"context"
	"crypto/rand"
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/shared/keyset"
)

//go:embed config
var config embed.FS

// writeFiles fills the run's folder. Programs are started in it, so that checked-in configuration
// can name other files without a path.
func (m *Mesh) writeFiles(context.Context) error {
	for _, write := range []func() error{m.writeCluster, m.writeClusters, m.writeIngress, m.writePolicies, m.writeConfig, m.writeAuthorizers, m.writeCertificates, m.readGateways} {
		if err := write(); err != nil {
			return err
		}
	}
	for _, g := range m.gateways {
		if err := m.writeGateway(g); err != nil {
			return err
		}
	}
	if m.options.Prepare != nil {
		return m.options.Prepare(m.dir)
	}
	return nil
}

// writeCluster writes the objects that Istio would get from the API server, and reads from them
// which Envoys there are.
func (m *Mesh) writeCluster() error {
	if err := m.writeLayers("cluster", cluster.Files, "cluster"); err != nil {
		return err
	}
	for _, name := range m.topology.Without {
		if err := os.Remove(m.filePath("cluster", name)); err != nil {
			return err
		}
	}
	var err error
	m.workloads, err = cluster.LoadWorkloads(os.DirFS(m.filePath("cluster")), m.net.Prefix())
	return err
}

func (m *Mesh) writePolicies() error {
	return m.writeLayers("policies", os.DirFS(filepath.Join(m.root, "manifests", "policies")), "policies")
}

func (m *Mesh) writeConfig() error {
	tour, err := fs.Sub(config, "config")
	if err != nil {
		return err
	}
	if err := m.writeLayers("", tour, "config"); err != nil {
		return err
	}
	for _, g := range m.topology.Gateways {
		if g.Home == "" {
			continue
		}
		if err := m.writeLayers(g.Home, nil, "config", g.Home); err != nil {
			return err
		}
	}
	return nil
}

// writeLayers fills a folder of the run with the tour's files, and overwrites them with those of the
// topology.
func (m *Mesh) writeLayers(folder string, tour fs.FS, differs ...string) error {
	if err := os.MkdirAll(m.filePath(folder), 0o755); err != nil {
		return err
	}
	if tour != nil {
		if err := m.net.CopyDir(m.filePath(folder), tour); err != nil {
			return err
		}
	}
	layers, err := m.topology.Files(differs...)
	if err != nil {
		return err
	}
	for _, layer := range layers {
		if err := m.net.CopyDir(m.filePath(folder), layer); err != nil {
			return err
		}
	}
	return nil
}

// writeGateway writes the files that a gateway needs beside its configuration: keys, policies, APIs.
func (m *Mesh) writeGateway(g *gateway) error {
	for _, folder := range []string{"keys", "apis", "middleware"} {
		if err := os.MkdirAll(m.filePath(g.Home, folder), 0o755); err != nil {
			return err
		}
	}
	if err := m.copyTykPolicies(g.Home); err != nil {
		return err
	}
	if err := m.writeKeys(g.Home); err != nil {
		return err
	}
	return m.writeAPIs(g)
}

// copyTykPolicies copies Tyk's policies as shipped. The other files of that folder are for a cluster.
func (m *Mesh) copyTykPolicies(home string) error {
	shipped, err := os.ReadFile(filepath.Join(m.root, "manifests", "tyk", "policies.json"))
	if err != nil {
		return err
	}
	return os.WriteFile(m.filePath(home, "policies.json"), shipped, 0o644)
}

// writeKeys makes a gateway's signing key, publishes it in the file that the authorizer trusts, and
// makes the secret for the plugin's hashes of key ids.
func (m *Mesh) writeKeys(home string) error {
	now := time.Now()
	plan := keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Minute), SignUntil: now.AddDate(0, 0, 7), RemoveAfter: now.AddDate(0, 0, 8)}
	if _, err := keyset.CreateKey(m.filePath(home, "keys"), keyset.DefaultAlgorithm, plan); err != nil {
		return err
	}
	keys, err := keyset.LoadSigningKeys(m.filePath(home, "keys"))
	if err != nil {
		return err
	}
	published, err := keys.JWKS(now)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.filePath(home, "jwks.json"), published, 0o644); err != nil {
		return err
	}
	return os.WriteFile(m.filePath(home, "hmac"), []byte(rand.Text()+rand.Text()), 0o600)
}
