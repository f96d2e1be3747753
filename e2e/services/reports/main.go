// Command reports reads inventory on its own account. The policy of inventory does not name it,
// so even with a user's valid token it is refused there: a token alone opens nothing.
package main

import (
	"net/http"
	"net/url"
	"os"

	"github.com/meshpass/meshpass/e2e/services/service"
)

func main() { os.Exit(service.Run("reports", routes)) }

func routes(mux *http.ServeMux, inventory *service.Upstream) {
	mux.HandleFunc("GET /tenants/{tenant}/report", func(w http.ResponseWriter, r *http.Request) {
		tenant := r.PathValue("tenant")
		stock, err := inventory.Get(r.Context(), "/tenants/"+url.PathEscape(tenant)+"/items/all")
		if err != nil {
			service.ReplyUnreachable(w, "inventory")
			return
		}
		if stock.Status != http.StatusOK {
			service.ReplyRefused(w, "inventory", stock)
			return
		}
		service.Reply(w, http.StatusOK, map[string]any{"tenant": tenant, "stock": stock.Body})
	})
}
