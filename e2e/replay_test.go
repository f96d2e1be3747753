package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
)

// replayed wants every decision that the authorizer recorded to come out as it was
// when it is made again from its record.
func replayed(t *testing.T, mesh *localmesh.Mesh) {
	t.Helper()
	meshpass, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		t.Fatal(err)
	}
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	policies := filepath.Join(root, "manifests", "policies")
	out, err := exec.CommandContext(t.Context(), meshpass, "policy", "diff", policies, policies,
		"--replay", filepath.Join(mesh.Dir(), "meshpass.audit.log")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), ", changed 0, undecidable 0") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
