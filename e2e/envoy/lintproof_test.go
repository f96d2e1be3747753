//go:build lintproof

package envoy_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/meshpass/meshpass/shared/identity"
)

const (
	outsideURL = "http://partner.example/"
	service    = "http://orders.shop.svc.cluster.local:8080/"
)

// outside is a host outside of the mesh, at an address of the test.
const outside = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner, namespace: shop}
spec: {hosts: [partner.example], location: MESH_EXTERNAL, resolution: STATIC, ports: [{name: http, number: 80, protocol: HTTP, targetPort: 9080}], endpoints: [{address: ADDRESS}]}
`

// TestLintRoutes: what a caller's Envoy sends, for objects about which `meshpass lint` has codes.
func TestLintRoutes(t *testing.T) {
	for _, row := range []struct {
		code, more, url string
		status          int
		asked           int
		token           string // as the authorizer, or the host outside, sees it
	}{
		{"", "", service, 200, 1, "forged"},
		// Of the two ports of the Service, istiod takes one at random for the name without a port. So this host has one port.
		{"header_virtual_service", strings.ReplaceAll(outside, "partner", "orders") + "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: orders, namespace: shop}\nspec: {hosts: [orders.example], " +
			"http: [{headers: {request: {remove: [Txn-Token]}}, route: [{destination: {host: orders.shop.svc.cluster.local, port: {number: 8080}}}]}]}\n", "http://orders.example/", 200, 1, ""},
		{"client_plaintext", "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: orders, namespace: shop}\nspec: {host: \"*.shop.svc.cluster.local\", trafficPolicy: {tls: {mode: DISABLE}}}\n",
			service, 503, 0, ""},
		{"egress_without_removal", outside, outsideURL, 200, 0, "forged"},
	} {
		t.Run(row.code, func(t *testing.T) {
			r := newRig(t)
			seen := ""
			listener, err := net.Listen("tcp", r.net.Addr(20)+":9080")
			must(t, err)
			server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) { seen = request.Header.Get(identity.Header) })}
			go func() { _ = server.Serve(listener) }() // ends when closed
			stopAtEnd(t, server.Close)
			r.more = strings.ReplaceAll(row.more, "ADDRESS", r.net.Addr(20))
			r.fromIstiod(t)
			for workload := range r.workloads {
				r.start(t, workload)
			}
			r.authz.reset(codes.OK)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, row.url, nil)
			must(t, err)
			request.Header.Set(identity.Header, "forged")
			response, err := throughMesh(t, r.workloads["reports"]).Do(request)
			must(t, err)
			body, err := io.ReadAll(response.Body)
			must(t, err)
			must(t, response.Body.Close())
			asked := r.authz.seen()
			if len(asked) > 0 {
				seen = asked[0].GetAttributes().GetRequest().GetHttp().GetHeaders()["txn-token"]
			}
			if response.StatusCode != row.status || len(asked) != row.asked || seen != row.token {
				t.Errorf("got %d %q, asked %d times, token %q; want %d, %d, %q", response.StatusCode, body, len(asked), seen, row.status, row.asked, row.token)
			}
		})
	}
}
