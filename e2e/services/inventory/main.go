// Command inventory is the last hop of the demo: it knows the stock of an item.
package main

import (
	"net/http"
	"os"

	"github.com/meshpass/meshpass/e2e/services/service"
)

func main() { os.Exit(service.Run("inventory", registerRoutes)) }

func registerRoutes(mux *http.ServeMux, _ *service.Upstream) {
	mux.HandleFunc("GET /tenants/{tenant}/items/{id}", func(w http.ResponseWriter, r *http.Request) {
		service.Reply(w, http.StatusOK, map[string]any{
			"tenant": r.PathValue("tenant"), "item": r.PathValue("id"), "stock": 7,
		})
	})
}
