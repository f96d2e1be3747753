package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
)

// TestIstioAcceptsMergedProviders: Istio's own code reads a mesh configuration with the providers of `meshpass istio providers`,
// and with the provider that was there. It rejects an unknown field of a provider; it does not check the values.
func TestIstioAcceptsMergedProviders(t *testing.T) {
	meshpass, err := repo.Bin("meshpass", "build")
	if err != nil {
		t.Fatal(err)
	}
	istiod, err := repo.Bin("istiod", "istiod")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("kustomization.yaml", "resources: [policy.yaml]\n")
	write("policy.yaml", "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec: {action: CUSTOM, provider: {name: meshpass}, rules: [{}]}\n")
	before := write("before.yaml", `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig:
    extensionProviders:
    - name: otel
      opentelemetry: {service: otel.observability.svc.cluster.local, port: 4317}
`)
	after, err := exec.CommandContext(t.Context(), meshpass, "istio", "providers", "-f", before).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(after), "name: otel") || strings.Count(string(after), "- name: meshpass") != 4 {
		t.Errorf("got\n%s", after)
	}
	for text, accepted := range map[string]bool{
		string(after): true,
		strings.Replace(string(after), "failOpen: ", "failOpn: ", 1): false,
	} {
		out, err := exec.CommandContext(t.Context(), istiod, "validate", "--mesh", write("mesh.yaml", text), "--dir", dir).CombinedOutput()
		if (err == nil) != accepted {
			t.Errorf("accepted %t, want %t: %v\n%s\n%s", err == nil, accepted, err, out, text)
		}
	}
}
