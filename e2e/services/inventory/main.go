// Command inventory is the demo's last hop: it knows what is in stock.
package main

import (
	"net/http"
	"os"

	"github.com/meshpass/meshpass/e2e/services/service"
)

func main() { os.Exit(service.Run("inventory", routes)) }

func routes(mux *http.ServeMux, _ *service.Upstream) {
	mux.HandleFunc("GET /tenants/{tenant}/items/{id}", func(w http.ResponseWriter, r *http.Request) {
		service.Reply(w, http.StatusOK, map[string]any{
			"tenant": r.PathValue("tenant"), "item": r.PathValue("id"), "stock": 7,
		})
	})
}
