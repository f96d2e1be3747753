// Command orders is the first hop of the demo: it answers with an order, and the stock that inventory
// reports.
package main

import (
	"net/http"
	"net/url"
	"os"

	"github.com/meshpass/meshpass/e2e/services/service"
)

func main() { os.Exit(service.Run("orders", registerRoutes)) }

func registerRoutes(mux *http.ServeMux, inventory *service.Upstream) {
	mux.HandleFunc("GET /tenants/{tenant}/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		tenant, id := r.PathValue("tenant"), r.PathValue("id")
		item, err := inventory.Get(r.Context(), "/tenants/"+url.PathEscape(tenant)+"/items/"+url.PathEscape(id))
		if err != nil {
			service.ReplyUnreachable(w, "inventory")
			return
		}
		if item.Status != http.StatusOK {
			service.ReplyDenied(w, "inventory", item)
			return
		}
		service.Reply(w, http.StatusOK, map[string]any{"tenant": tenant, "order": id, "item": item.Body})
	})
	mux.HandleFunc("POST /tenants/{tenant}/orders", func(w http.ResponseWriter, r *http.Request) {
		service.Reply(w, http.StatusCreated, map[string]any{"tenant": r.PathValue("tenant"), "order": "1002"})
	})
}
