package localmesh

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
)

const authorizerHost = 5 // in config/meshpass.yaml

// startAuthorizers starts each authorizer with the configuration of its name.
func (m *Mesh) startAuthorizers(ctx context.Context) error {
	for _, a := range m.topology.Authorizers {
		ready, err := m.newListenersCheck(a)
		if err != nil {
			return err
		}
		err = m.startProgram(ctx, process.Spec{
			Name:   a.Name,
			Path:   "meshpass",
			Args:   []string{"serve", "--config", a.Name + ".yaml", "--drain-delay", "0s"}, // all parts end together
			Stdout: auditLogName(a),
		}, "meshpass", ready)
		if err != nil {
			return err
		}
	}
	return nil
}

// writeCertificates writes the files that Istio's agent would write beside an authorizer with
// mutual TLS of its own.
func (m *Mesh) writeCertificates() error {
	for _, a := range m.topology.Authorizers {
		if a.Identity == "" {
			continue
		}
		id, err := url.Parse(a.Identity)
		if err != nil {
			return err
		}
		pair, err := m.ca.Issue(sds.Names{URIs: []*url.URL{id}})
		if err != nil {
			return err
		}
		for name, data := range map[string][]byte{a.Name + ".crt": pair.Cert, a.Name + ".key": pair.Key, "roots.crt": m.ca.RootPEM()} {
			if err := os.WriteFile(m.filePath(name), data, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

func auditLogName(a topologies.Authorizer) string { return a.Name + ".audit.log" }

// writeAuthorizers writes a configuration for each authorizer with an address of its own.
func (m *Mesh) writeAuthorizers() error {
	for _, a := range m.topology.Authorizers {
		if a.At == "" {
			continue
		}
		config, err := os.ReadFile(m.filePath("meshpass.yaml"))
		if err != nil {
			return err
		}
		own := subnet.Localise([]byte(a.At), m.net.Prefix())
		config = bytes.ReplaceAll(config, []byte(m.net.Addr(authorizerHost)+":"), append(own, ':'))
		if err := os.WriteFile(m.filePath(a.Name+".yaml"), config, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// newListenersCheck makes a condition: the authorizer accepts connections at each of its listeners.
func (m *Mesh) newListenersCheck(a topologies.Authorizer) (func(context.Context) error, error) {
	data, err := os.ReadFile(m.filePath(a.Name + ".yaml"))
	if err != nil {
		return nil, err
	}
	var config struct {
		Listeners []struct{ GRPC string }
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", a.Name, err)
	}
	return func(ctx context.Context) error {
		if len(config.Listeners) == 0 {
			return fmt.Errorf("%s has no listener", a.Name)
		}
		for _, l := range config.Listeners {
			if err := process.NewListeningCheck(l.GRPC)(ctx); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// startProgram starts a program, waits until it is ready, and stops it with the mesh. Path of the
// spec is an absolute path or the name of a program in bin/, and Name if it is empty. target is
// the make target that builds it. Dir and Stdout are paths in the run's folder. The log is NAME.log
// in Dir.
func (m *Mesh) startProgram(ctx context.Context, spec process.Spec, target string, ready func(context.Context) error) error {
	path := cmp.Or(spec.Path, spec.Name)
	if !filepath.IsAbs(path) {
		var err error
		if path, err = repo.Bin(path, target); err != nil {
			return err
		}
	}
	log := spec.Name + ".log"
	spec.Path, spec.Stdout, spec.Stderr = path, m.filePath(spec.Dir, cmp.Or(spec.Stdout, log)), m.filePath(spec.Dir, log)
	spec.Dir = m.filePath(spec.Dir)
	p := &program{spec: spec, ready: ready}
	m.programs = append(m.programs, p)
	m.onClose(p.stopIfStarted)
	return p.startAndAwait(ctx)
}

// OpsAddresses are the addresses of the authorizers' metrics, by name.
func (m *Mesh) OpsAddresses() map[string]string {
	all := map[string]string{}
	for _, a := range m.topology.Authorizers {
		at := m.net.Addr(authorizerHost)
		if a.At != "" {
			at = string(subnet.Localise([]byte(a.At), m.net.Prefix()))
		}
		all[a.Name] = at + ":9090"
	}
	return all
}
