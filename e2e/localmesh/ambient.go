package localmesh

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/hbone"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// egressPort is the port to which a workload's program sends its requests: see
// envoy.Workload.ProxyURL.
const egressPort = 15080

// findWaypoint gives the waypoint of the mesh, if it has one.
func (m *Mesh) findWaypoint() (w envoy.Workload, ok bool) {
	for _, w := range m.workloads {
		if w.Type == envoy.Waypoint {
			return w, true
		}
	}
	return w, false
}

func tunnelAddress(w envoy.Workload) string { return fmt.Sprintf("%s:%d", w.Address, hbone.Port) }

func (m *Mesh) loadServiceAddresses() (map[string]string, error) {
	return cluster.LoadServices(os.DirFS(m.filePath("cluster")), m.net.Prefix())
}

// startTunnels starts the stand-in for ztunnel beside each workload in ambient mode.
func (m *Mesh) startTunnels(ctx context.Context) error {
	waypoint, ok := m.findWaypoint()
	if !ok {
		return nil
	}
	addresses, err := m.loadServiceAddresses()
	if err != nil {
		return err
	}
	for _, w := range m.workloads {
		if !w.Ambient {
			continue
		}
		holder, err := m.newClientTLS(w.SPIFFE())
		if err != nil {
			return err
		}
		proxy := hbone.NewProxy(hbone.NewDialer(holder), tunnelAddress(waypoint), addresses)
		proxy.ErrorLog = slog.NewLogLogger(m.log.Handler(), slog.LevelInfo)
		if err := m.serveHTTP(ctx, fmt.Sprintf("%s:%d", w.Address, egressPort), proxy); err != nil {
			return fmt.Errorf("tunnels of %s: %w", w.Name, err)
		}
	}
	return nil
}

// findTunnelRoute is the route of a sender that opens the tunnel itself: to the waypoint or, around
// it, to the tunnel port of a workload.
func (m *Mesh) findTunnelRoute(r scenarios.Request) (route, error) {
	from := r.From
	if strings.HasPrefix(from, "ns/") {
		from = "spiffe://cluster.local/" + from
	}
	holder, err := m.newClientTLS(from)
	if err != nil {
		return route{}, err
	}
	peer, ok := m.workloads[r.Tunnel]
	if !ok {
		return route{}, fmt.Errorf("no workload is named %q", r.Tunnel)
	}
	authority, err := m.findAuthority(r.To)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return hbone.NewDialer(holder).Dial(ctx, tunnelAddress(peer), authority)
	}
	return route{target: serviceURL(strings.TrimPrefix(r.To, "pod/")), dial: dial}, err
}

// findAuthority gives the address and port of a service of namespace shop, or of pod/NAME.
func (m *Mesh) findAuthority(to string) (string, error) {
	addresses, err := m.loadServiceAddresses()
	if err != nil {
		return "", err
	}
	address := addresses[to+".shop.svc.cluster.local"]
	if pod, ok := strings.CutPrefix(to, "pod/"); ok {
		address = m.workloads[pod].Address
	}
	if address == "" {
		return "", fmt.Errorf("no service and no pod is named %q", to)
	}
	return fmt.Sprintf("%s:%d", address, inboundPort), nil
}
