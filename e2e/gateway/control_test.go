package gateway_test

import (
	"net/http"
	"testing"
)

// Tyk's control API makes keys of any caller. With control_api_port, as in manifests/tyk, the port that
// clients reach has neither it nor /hello, whether or not they know the secret.
func TestControlAPI(t *testing.T) {
	r := start(t, setup{}).serving(t)
	for _, path := range []string{"/tyk/apis", "/tyk/policies", "/tyk/reload", "/hello"} {
		for port, want := range map[string]int{r.url: http.StatusNotFound, r.admin: http.StatusOK} {
			if status, _, err := r.ask(t.Context(), port, http.MethodGet, path, ""); status != want || err != nil {
				t.Errorf("%s%s: got %d, %v; want %d", port, path, status, err, want)
			}
		}
	}
}
