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

// egressPort is where a workload's program hands over what it sends: see envoy.Workload.Proxy.
const egressPort = 15080

// waypoint is the mesh's, if it has one.
func (m *Mesh) waypoint() (w envoy.Workload, ok bool) {
	for _, w := range m.workloads {
		if w.Type == envoy.Waypoint {
			return w, true
		}
	}
	return w, false
}

func tunnelsTo(w envoy.Workload) string { return fmt.Sprintf("%s:%d", w.Address, hbone.Port) }

func (m *Mesh) serviceAddresses() (map[string]string, error) {
	return cluster.Services(os.DirFS(m.path("cluster")), m.net.Prefix())
}

// startTunnels replaces ztunnel beside each workload in ambient mode.
func (m *Mesh) startTunnels(ctx context.Context) error {
	waypoint, ok := m.waypoint()
	if !ok {
		return nil
	}
	addresses, err := m.serviceAddresses()
	if err != nil {
		return err
	}
	for _, w := range m.workloads {
		if !w.Ambient {
			continue
		}
		holder, err := m.holderOf(w.SPIFFE())
		if err != nil {
			return err
		}
		proxy := hbone.NewProxy(hbone.NewDialer(holder), tunnelsTo(waypoint), addresses)
		proxy.ErrorLog = slog.NewLogLogger(m.log.Handler(), slog.LevelInfo)
		if err := m.serve(ctx, fmt.Sprintf("%s:%d", w.Address, egressPort), proxy); err != nil {
			return fmt.Errorf("tunnels of %s: %w", w.Name, err)
		}
	}
	return nil
}

// wayThroughTunnel is a sender's who opens the tunnel himself, to the waypoint or, around it, to
// where a workload takes tunnels.
func (m *Mesh) wayThroughTunnel(r scenarios.Request) (way, error) {
	from := r.From
	if strings.HasPrefix(from, "ns/") {
		from = "spiffe://cluster.local/" + from
	}
	holder, err := m.holderOf(from)
	if err != nil {
		return way{}, err
	}
	peer, ok := m.workloads[r.Tunnel]
	if !ok {
		return way{}, fmt.Errorf("nothing here is called %q", r.Tunnel)
	}
	authority, err := m.authority(r.To)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return hbone.NewDialer(holder).Dial(ctx, tunnelsTo(peer), authority)
	}
	return way{target: serviceURL(strings.TrimPrefix(r.To, "pod/")), dial: dial}, err
}

// authority is the address and port of a service of namespace shop, or of pod/NAME.
func (m *Mesh) authority(to string) (string, error) {
	addresses, err := m.serviceAddresses()
	if err != nil {
		return "", err
	}
	address := addresses[to+".shop.svc.cluster.local"]
	if pod, ok := strings.CutPrefix(to, "pod/"); ok {
		address = m.workloads[pod].Address
	}
	if address == "" {
		return "", fmt.Errorf("no service and no pod here is called %q", to)
	}
	return fmt.Sprintf("%s:%d", address, inboundPort), nil
}
