package forward_test

import (
	"io"
	"net/http"

	"github.com/meshpass/meshpass/shared/forward"
)

// A service that calls another for each request.
func Example() {
	client := &http.Client{Transport: &forward.Transport{Inside: forward.MustParseHosts("*.svc.cluster.local")}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		// The outgoing request is made with the context of the incoming one.
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://inventory.shop.svc.cluster.local/items", nil)
		if err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		response, err := client.Do(request)
		if err != nil {
			http.Error(w, "inventory is away", http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		io.Copy(w, response.Body)
	})
	_ = http.Server{Addr: ":8080", Handler: forward.Handler(mux)}
}

// A client that wraps another, here one with its own connection pool.
func ExampleTransport() {
	_ = &http.Client{Transport: &forward.Transport{
		Base:   &http.Transport{MaxIdleConnsPerHost: 100},
		Inside: forward.MustParseHosts("inventory", "*.svc.cluster.local"),
	}}
}
