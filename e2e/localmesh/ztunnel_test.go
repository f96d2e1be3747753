package localmesh

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/repo"
)

// ztunnelConfig is the part of istiod's dump for a ztunnel that the tests read.
type ztunnelConfig struct {
	Addresses []struct {
		Service *struct {
			Hostname, Namespace string
			Waypoint            struct{ Address struct{ Address []byte } }
		}
		Workload *struct {
			Name, Namespace       string
			AuthorizationPolicies []string
		}
	}
	Authorizations []map[string]any
}

// dumpZtunnel gives the configuration that Istio's control plane would send to a ztunnel of this mesh.
func (m *Mesh) dumpZtunnel(t *testing.T) (c ztunnelConfig) {
	t.Helper()
	istiod, err := repo.Bin("istiod", "istiod")
	if err != nil {
		t.Fatal(err)
	}
	node, out := filepath.Join(t.TempDir(), "node.json"), t.TempDir()
	const self = `{"id": "ztunnel~127.0.0.1~ztunnel.istio-system~istio-system.svc.cluster.local", "metadata":
		{"WORKLOAD_NAME": "ztunnel", "NAMESPACE": "istio-system", "SERVICE_ACCOUNT": "ztunnel", "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.31.0"}}`
	if err := os.WriteFile(node, []byte(self), 0o644); err != nil {
		t.Fatal(err)
	}
	manifests := filepath.Join(m.root, "manifests", "istio")
	dump := exec.CommandContext(t.Context(), istiod, "dump", "--mesh", filepath.Join(manifests, "install.yaml"), "--dir", manifests,
		"--dir", filepath.Join(manifests, "strict"), "--dir", filepath.Join(manifests, "waypoint"), "--dir", m.filePath("cluster"), "--nodes", node, "--out", out)
	dump.Env = append(os.Environ(), m.topology.Istiod...)
	if log, err := dump.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	data, err := os.ReadFile(filepath.Join(out, "ztunnel.json"))
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ztunnel gets the complete guard: for every workload of the namespace only the waypoint's identity.
// Only a cluster shows the effect in ztunnel.
func (m *Mesh) ztunnelGetsTheGuard(t *testing.T) {
	c := m.dumpZtunnel(t)
	guard := map[string]any{ // ALLOW is the action's zero value, which is not written
		"name": "only-through-the-waypoint", "namespace": "shop", "scope": "NAMESPACE",
		"groups": []any{map[string]any{"rules": []any{map[string]any{"matches": []any{map[string]any{
			"principals": []any{map[string]any{"exact": "cluster.local/ns/shop/sa/waypoint"}},
		}}}}}},
	}
	at := slices.IndexFunc(c.Authorizations, func(a map[string]any) bool { return a["namespace"] == "shop" })
	if at < 0 {
		t.Fatal("ztunnel gets no policy of namespace shop")
	}
	if diff := cmp.Diff(guard, c.Authorizations[at]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, a := range c.Addresses { // plaintext has no identity
		if w := a.Workload; w != nil && w.Namespace == "shop" && !slices.Contains(w.AuthorizationPolicies, "istio-system/istio_converted_static_strict") {
			t.Errorf("ztunnel lets plaintext into %s: %v", w.Name, w.AuthorizationPolicies)
		}
	}
}

func (m *Mesh) ztunnelSendsToTheWaypoint(t *testing.T) {
	got := map[string]string{}
	for _, a := range m.dumpZtunnel(t).Addresses {
		if s := a.Service; s != nil && s.Namespace == "shop" {
			waypoint, _ := netip.AddrFromSlice(s.Waypoint.Address.Address)
			got[s.Hostname] = waypoint.String()
		}
	}
	own := m.net.Addr(120)
	want := map[string]string{
		"orders.shop.svc.cluster.local": own, "inventory.shop.svc.cluster.local": own, "reports.shop.svc.cluster.local": own,
		"waypoint.shop.svc.cluster.local": netip.Addr{}.String(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("waypoints of the services (-want +got):\n%s", diff)
	}
}
