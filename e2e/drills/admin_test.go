package drills

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// configOf returns the active configuration of a workload's Envoy.
func (r *rig) configOf(t *testing.T, workload string) []byte {
	return r.readAdminPage(t, workload, "/config_dump")
}

// certificateSerials returns the serial numbers of the Envoys' own certificates, by workload.
func (r *rig) certificateSerials(t *testing.T) map[string]string {
	t.Helper()
	serials := map[string]string{}
	for name := range r.envoys {
		var page struct {
			Certificates []struct {
				Own []struct {
					Serial string `json:"serial_number"`
				} `json:"cert_chain"`
			}
		}
		must(t, json.Unmarshal(r.readAdminPage(t, name, "/certs"), &page))
		for _, one := range page.Certificates {
			for _, own := range one.Own {
				serials[name] = own.Serial
			}
		}
	}
	return serials
}

// isConnectedToIstiod returns 1 while a workload's Envoy has a connection to istiod.
func (r *rig) isConnectedToIstiod(t *testing.T, workload string) float64 {
	t.Helper()
	return mustGet(r.envoys[workload].Stats(t.Context(), `^control_plane\.connected_state$`))(t)["control_plane.connected_state"]
}

// rejectedListeners counts the updates of istiod that a workload's Envoy rejected.
func (r *rig) rejectedListeners(t *testing.T, workload string) float64 {
	t.Helper()
	const name = "listener_manager.lds.update_rejected"
	return mustGet(r.envoys[workload].Stats(t.Context(), `^listener_manager\.lds\.update_rejected$`))(t)[name]
}

// authorizerStat returns a statistic of the authorizers that an Envoy asks.
func (r *rig) authorizerStat(t *testing.T, envoy, name string) (value float64) {
	t.Helper()
	for _, value = range r.authorizerStats(t, envoy, r.place.ports[0], name) {
	}
	return value
}

// authorizerStats returns a statistic of the authorizers, as an Envoy sees them, by cluster.
func (r *rig) authorizerStats(t *testing.T, envoy string, port int, name string) map[string]float64 {
	t.Helper()
	return mustGet(r.envoys[envoy].Stats(t.Context(), fmt.Sprintf(`^cluster\.outbound\|%d\|\|meshpass.*\.%s$`, port, name)))(t)
}

func (r *rig) readAdminPage(t *testing.T, workload, path string) []byte {
	t.Helper()
	response := mustGet(http.Get(r.workloads[workload].AdminURL() + path))(t)
	defer response.Body.Close()
	return mustGet(io.ReadAll(response.Body))(t)
}
