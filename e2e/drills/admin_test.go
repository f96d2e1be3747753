package drills

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// configOf is what a workload's Envoy runs on.
func (r *rig) configOf(t *testing.T, workload string) []byte {
	return r.admin(t, workload, "/config_dump")
}

// certificates are the serial numbers of the Envoys' own certificates.
func (r *rig) certificates(t *testing.T) map[string]string {
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
		must(t, json.Unmarshal(r.admin(t, name, "/certs"), &page))
		for _, one := range page.Certificates {
			for _, own := range one.Own {
				serials[name] = own.Serial
			}
		}
	}
	return serials
}

// connected is 1 while a workload's Envoy has a connection to istiod.
func (r *rig) connected(t *testing.T, workload string) float64 {
	t.Helper()
	return must1(r.envoys[workload].Stats(t.Context(), `^control_plane\.connected_state$`))(t)["control_plane.connected_state"]
}

// listenersRefused counts what a workload's Envoy would not take of istiod.
func (r *rig) listenersRefused(t *testing.T, workload string) float64 {
	t.Helper()
	const name = "listener_manager.lds.update_rejected"
	return must1(r.envoys[workload].Stats(t.Context(), `^listener_manager\.lds\.update_rejected$`))(t)[name]
}

// ofAuthorizers is a statistic of the authorizers, as a workload's Envoy sees them.
func (r *rig) ofAuthorizers(t *testing.T, workload, name string) (value float64) {
	t.Helper()
	for _, value = range must1(r.envoys[workload].Stats(t.Context(), `^cluster\.outbound\|9000\|\|meshpass.*\.`+name+`$`))(t) {
	}
	return value
}

func (r *rig) admin(t *testing.T, workload, path string) []byte {
	t.Helper()
	response := must1(http.Get(r.workloads[workload].Admin() + path))(t)
	defer response.Body.Close()
	return must1(io.ReadAll(response.Body))(t)
}
