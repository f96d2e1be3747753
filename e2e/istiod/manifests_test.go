package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	meshconfig "istio.io/api/mesh/v1alpha1"
)

const meshText = `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig:
    extensionProviders:
      - name: meshpass
        envoyExtAuthzGrpc: {service: a.b.svc.cluster.local, port: 9000}
`

const object = `# a comment alone is no document
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
`

func TestParse(t *testing.T) {
	m, err := parse([]file{{"install.yaml", []byte(meshText)}, {"install.yaml", []byte(meshText)}, {"objects.yaml", []byte(object)}})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.objects) != 2 || len(m.configs) != 1 {
		t.Fatalf("%d objects and %d configs, want the Service, and the PeerAuthentication as either", len(m.objects), len(m.configs))
	}
	if ns := m.configs[0].Namespace; ns != "default" {
		t.Errorf("namespace %q, want default, as kubectl has it", ns)
	}
	if p := provider(m.mesh); p == nil || p.GetEnvoyExtAuthzGrpc().GetPort() != 9000 {
		t.Errorf("provider meshpass is %v", p)
	}
}

func provider(m *meshconfig.MeshConfig) *meshconfig.MeshConfig_ExtensionProvider {
	for _, p := range m.ExtensionProviders {
		if p.Name == "meshpass" {
			return p
		}
	}
	return nil
}

func TestParseRefuses(t *testing.T) {
	const policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n"
	for name, row := range map[string]struct{ mesh, object, want string }{
		"empty":                {meshText, "", "o.yaml: the file holds no object"},
		"half-written":         {meshText, policy + "spec:\n  rules: [{", "o.yaml: document 1: "},
		"no kind":              {meshText, "apiVersion: v1\n", "o.yaml: document 1: apiVersion and kind are required"},
		"unknown kind":         {meshText, "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\n", `no kind "AccessPolicy"`},
		"unknown field":        {meshText, policy + "spec: {action: CUSTOM, providr: {}}", "AuthorizationPolicy p: "},
		"unknown object field": {meshText, "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {prts: []}", `unknown field "spec.prts"`},
		"invalid":              {meshText, policy + "spec: {action: CUSTOM, rules: [{}]}", "provider.name"},
		"no name":              {meshText, "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n", "metadata.name is required"},
		"second document":      {meshText, object + "---\nkind: [", "o.yaml: document 3: "},
		"mesh empty":           {"", object, "m.yaml: want an IstioOperator"},
		"mesh without config":  {"apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n", object, "m.yaml: want an IstioOperator"},
		"mesh of other kind":   {object, object, "m.yaml: "},
		"mesh with unknown":    {meshText + "    accessLogFle: x\n", object, "m.yaml: spec.meshConfig: "},
		"mesh invalid":         {meshText + "    proxyListenPort: 99999\n", object, "m.yaml: spec.meshConfig: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse([]file{{"m.yaml", []byte(row.mesh)}, {"o.yaml", []byte(row.object)}})
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestFaultsAreReportedTogether(t *testing.T) {
	_, err := parse([]file{{"m.yaml", nil}, {"a.yaml", nil}, {"b.yaml", nil}})
	for _, name := range []string{"m.yaml", "a.yaml", "b.yaml"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"m.yaml", "b.yml", "a.yaml", "README.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := source{mesh: filepath.Join(dir, "m.yaml"), dirs: []string{dir}}
	files, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f.path))
	}
	if got := strings.Join(names, " "); got != "m.yaml a.yaml b.yml m.yaml" {
		t.Errorf("loaded %s", got)
	}
	before := digest(files)
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if files, err = s.load(); err != nil || digest(files) == before {
		t.Errorf("a change leaves the digest as it was (%v)", err)
	}
	if _, err := (source{mesh: s.mesh, dirs: []string{t.TempDir()}}).load(); err == nil || !strings.Contains(err.Error(), "no *.yaml") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestAnOperatorAmongTheObjectsIsLaidOverTheMesh(t *testing.T) {
	const overlay = `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig:
    trustDomainAliases: [old.example]
    extensionProviders:
      - name: meshpass
        envoyExtAuthzGrpc: {service: elsewhere.example, port: 9001, timeout: 0.25s}
`
	m, err := parse([]file{{"m.yaml", []byte(meshText)}, {"o.yaml", []byte(overlay)}})
	if err != nil {
		t.Fatal(err)
	}
	if p := provider(m.mesh); p.GetEnvoyExtAuthzGrpc().GetPort() != 9001 {
		t.Errorf("provider: %v", p)
	}
	if a := m.mesh.TrustDomainAliases; len(a) != 1 || a[0] != "old.example" {
		t.Errorf("aliases: %v", a)
	}
	// istioctl merges maps alone: the provider that the list does not repeat is gone.
	two := meshText + "      - name: other\n        envoyExtAuthzGrpc: {service: a.b.svc.cluster.local, port: 9000}\n"
	if m, err = parse([]file{{"m.yaml", []byte(two)}, {"o.yaml", []byte(overlay)}}); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.mesh.ExtensionProviders {
		if p.Name == "other" {
			t.Error("a list does not take the place of the one before")
		}
	}
	bad := strings.ReplaceAll(overlay, "trustDomainAliases", "trustDomainAlias")
	if _, err := parse([]file{{"m.yaml", []byte(meshText)}, {"o.yaml", []byte(bad)}}); err == nil || !strings.Contains(err.Error(), "o.yaml: document 1: spec.meshConfig: ") {
		t.Errorf("an unknown field: %v", err)
	}
}
