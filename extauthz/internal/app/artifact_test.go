package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policypull"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/registry"
)

// TestAnArtifactInARegistry follows the tag of an artifact. The status names its digest.
func TestAnArtifactInARegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	f := withPolicies(t, "{dirs: [{path: artifact/current, name: shop}]}")
	dir := filepath.Join(filepath.Dir(f.config), "artifact")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	server := registry.Start(t)
	artifact, err := policypull.Open(server.Host+"/shop:1", true)
	if err != nil {
		t.Fatal(err)
	}
	push := func(rules string) (version string) {
		digest := server.Push(t, "shop", "1", registry.File{Name: "orders.yaml", Content: document("orders", rules)})
		pulled, err := artifact.Pull(context.Background(), dir)
		if err != nil || pulled.Digest != digest || !pulled.Changed {
			t.Fatalf("got %+v, %v", pulled, err)
		}
		return strings.Replace(digest, ":", "-", 1)
	}
	first := push(all)
	a := startAsked(t, f)
	a.answers(t, "start", "orders: rule_allowed all")
	a.readFrom(t, first)
	second := push(none)
	a.answers(t, "the tag moves", "orders: rule_denied none")
	a.readFrom(t, second)
	push(bad)
	a.await(t, documentsMessage)
	a.answers(t, "a bad artifact", "orders: rule_denied none")
	last := push(all)
	a.answers(t, "fixed", "orders: rule_allowed all")
	a.readFrom(t, last)
}
