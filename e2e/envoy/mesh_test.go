package envoy_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/meshpass/meshpass/e2e/envoy"
)

const ordersURL = "http://orders.shop.svc.cluster.local:8080/tenants/acme/orders/1"

// The same cases hold with the configuration of the checked-in dump and with that of the
// live control plane.
func TestMesh(t *testing.T) {
	for name, controlPlane := range map[string]func(*rig, *testing.T){
		"dump":   (*rig).fromCheckedInDump,
		"istiod": (*rig).fromIstiod,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			controlPlane(r, t)
			var envoys []*envoy.Proc
			for workload := range r.workloads {
				envoys = append(envoys, r.start(t, workload))
			}
			t.Run("a call names caller and callee", r.callNamesBoth)
			t.Run("a denial is 403", r.denialIs403)
			t.Run("plaintext is refused before the check", r.plaintextIsRefused)
			t.Run("an unknown host is 502", r.unknownHostIs502)
			t.Run("no authorizer is 503", r.outageIs503)
			for _, e := range envoys {
				must(t, e.Check(t.Context()))
			}
		})
	}
}

func (r *rig) callNamesBoth(t *testing.T) {
	r.authz.reset(codes.OK)
	status, body := r.call(t, ordersURL)
	if status != http.StatusOK || body != "app saw /tenants/acme/orders/1" {
		t.Fatalf("got %d %q", status, body)
	}
	asked := r.authz.seen()
	if len(asked) != 1 {
		t.Fatalf("%d checks, want 1", len(asked))
	}
	a := asked[0].GetAttributes()
	for _, got := range []struct{ what, is, want string }{
		{"caller", a.GetSource().GetPrincipal(), r.workloads["reports"].SPIFFE()},
		{"callee", a.GetDestination().GetPrincipal(), r.workloads["orders"].SPIFFE()},
		{"callee's address", a.GetDestination().GetAddress().GetSocketAddress().GetAddress(), r.net.Addr(11)},
		{"path", a.GetRequest().GetHttp().GetPath(), "/tenants/acme/orders/1"},
		{"host", a.GetRequest().GetHttp().GetHost(), "orders.shop.svc.cluster.local:8080"},
	} {
		if got.is != got.want {
			t.Errorf("%s is %q, want %q", got.what, got.is, got.want)
		}
	}
}

func (r *rig) denialIs403(t *testing.T) {
	r.authz.reset(codes.PermissionDenied)
	if status, body := r.call(t, ordersURL); status != http.StatusForbidden {
		t.Fatalf("got %d %q", status, body)
	}
}

func (r *rig) plaintextIsRefused(t *testing.T) {
	r.authz.reset(codes.OK)
	if status, err := r.callInPlaintext(); err == nil {
		t.Errorf("answered %s, want a closed connection", status)
	}
	if n := len(r.authz.seen()); n != 0 {
		t.Errorf("%d checks, want none", n)
	}
}

// callInPlaintext sends directly to the Envoy of orders, as a program outside the mesh would.
func (r *rig) callInPlaintext() (status string, err error) {
	direct := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := direct.Get("http://" + r.net.Addr(11) + ":8080/")
	if err != nil {
		return "", err
	}
	return response.Status, response.Body.Close()
}

func (r *rig) unknownHostIs502(t *testing.T) {
	if status, body := r.call(t, "http://elsewhere.example:8080/"); status != http.StatusBadGateway {
		t.Fatalf("got %d %q", status, body)
	}
}

func (r *rig) outageIs503(t *testing.T) {
	r.authz.server.Stop()
	if status, body := r.call(t, ordersURL); status != http.StatusServiceUnavailable {
		t.Fatalf("got %d %q", status, body)
	}
}

// call sends a GET as the program of reports does.
func (r *rig) call(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := throughMesh(t, r.workloads["reports"]).Get(url)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(body)
}
