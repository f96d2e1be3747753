// Command reports reads inventory for its own purpose. The policy of inventory does not name it, so
// inventory denies its requests even with a user's valid token: a token alone is not enough.
package main

import (
	"net/http"
	"net/url"
	"os"

	"github.com/meshpass/meshpass/e2e/services/service"
)

func main() { os.Exit(service.Run("reports", registerRoutes)) }

func registerRoutes(mux *http.ServeMux, inventory *service.Upstream) {
	mux.HandleFunc("GET /tenants/{tenant}/report", func(w http.ResponseWriter, r *http.Request) {
		tenant := r.PathValue("tenant")
		stock, err := inventory.Get(r.Context(), "/tenants/"+url.PathEscape(tenant)+"/items/all")
		if err != nil {
			service.ReplyUnreachable(w, "inventory")
			return
		}
		if stock.Status != http.StatusOK {
			service.ReplyDenied(w, "inventory", stock)
			return
		}
		service.Reply(w, http.StatusOK, map[string]any{"tenant": tenant, "stock": stock.Body})
	})
}
