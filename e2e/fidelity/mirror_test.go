package fidelity_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/internal/subnet"
	"github.com/meshpass/meshpass/shared/identity"
)

const (
	stockHost  = "stock.shop.svc.cluster.local"
	copiesHost = "copies.shop.svc.cluster.local"
)

// TestMirror has the Envoy of orders, configured by Istio with manifests/istio/egress, send requests to
// stock that are mirrored twice: within the mesh, and to a host outside. Only the copy within the mesh
// may carry the token and the identity headers.
func TestMirror(t *testing.T) {
	for name, form := range map[string]string{"VirtualService": "virtual-service.yaml", "HTTPRoute": "http-route.yaml"} {
		t.Run(name, func(t *testing.T) {
			m := newMirrored(t, form)
			sidecar := m.net.Addr(11) + ":15080"
			m.await(t, sidecar, stockHost, copiesHost, "recorder.example")
			m.checkMirrors(t, sidecar, stockHost)

			m.send(t, sidecar, copiesHost, "/away")
			equalLists(t, "a Service's name that is routed outside", oursAt(t, m.outside, "/away"), nil)
			m.send(t, sidecar, copiesHost, "/stays")
			equalLists(t, "a Service", oursAt(t, m.copies, "/stays"), withinTheMesh)
			m.send(t, sidecar, "recorder.example", "/called")
			equalLists(t, "a host outside", oursAt(t, m.outside, "/called"), nil)
		})
	}
	t.Run("ingress gateway", func(t *testing.T) {
		m := newMirrored(t, "gateway.yaml")
		workloads, err := cluster.LoadWorkloads(os.DirFS(filepath.Join("testdata", "mirror")), m.net.Prefix())
		must(t, err)
		m.startEnvoyOf(t, workloads["istio-ingressgateway"])
		gateway := m.net.Addr(19) + ":8080"
		m.await(t, gateway, "stock.example")
		m.checkMirrors(t, gateway, "stock.example")
	})
}

// mirrored is the rig with the servers behind its three hosts.
type mirrored struct {
	*rig
	stock, copies, outside *upstream
}

func newMirrored(t testing.TB, form string) *mirrored {
	t.Helper()
	m := &mirrored{}
	m.rig = newRigBefore(t, withMirror(form), func(r *rig, address string) {
		r.upstream = newUpstream(t, address)
		m.stock, m.copies, m.outside = newUpstream(t, r.net.Addr(17)+":8080"), newUpstream(t, r.net.Addr(18)+":8080"), newUpstream(t, r.net.Addr(16)+":8080")
	})
	return m
}

// withMirror is the live control plane on our manifests, those for the way out of the mesh, and the
// objects of testdata/mirror with one of its forms of a mirror.
func withMirror(form string) controlPlane {
	return func(t testing.TB, r *rig) {
		t.Helper()
		objects := t.TempDir()
		must(t, r.net.CopyDir(objects, cluster.Files))
		for _, name := range []string{"objects.yaml", form} {
			text, err := os.ReadFile(filepath.Join("testdata", "mirror", name))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(objects, "mirror-"+name), subnet.Localise(text, r.net.Prefix()), 0o644))
		}
		istio := manifestsOfIstio(t)
		serveIstiod(t, r, istio, filepath.Join(istio, "strict"), filepath.Join(istio, "egress"), objects)
	}
}

// await returns when an Envoy has a route for each host: the control plane sends them one by one.
func (m *mirrored) await(t testing.TB, envoy string, hosts ...string) {
	t.Helper()
	for _, host := range hosts {
		eventually(t, host+" has its route", func() bool {
			conn, err := net.Dial("tcp", envoy)
			if err != nil {
				return false
			}
			conn.Close()
			return sendOut(t, envoy, host, settled).status == 200
		})
	}
}

const (
	aToken = "a.b.c"
	aUser  = "idp:alice"
)

// withinTheMesh are the values of the headers that send adds, without the one by which the Envoy names
// the cluster to itself.
var withinTheMesh = []string{aToken, aToken, aUser, aUser, aUser}

// send sends a request with all that must not leave the mesh.
func (m *mirrored) send(t testing.TB, envoy, host, path string) {
	t.Helper()
	got := sendOut(t, envoy, host, path, "Txn-Token: "+aToken, "Txn~Token: "+aToken, "X-Meshpass-User: "+aUser, "X.Meshpass.User: "+aUser,
		"x-meshpass_user: "+aUser, "X-Meshpass-Upstream: outbound|80||x.shop.svc.cluster.local", "Keep: 1")
	if got.status != 200 {
		t.Fatalf("%s%s: got %d", host, path, got.status)
	}
}

func (m *mirrored) checkMirrors(t testing.TB, envoy, host string) {
	t.Helper()
	m.send(t, envoy, host, "/mirrored")
	equalLists(t, "stock", oursAt(t, m.stock, "/mirrored"), withinTheMesh)
	equalLists(t, "the mirror within the mesh", oursAt(t, m.copies, "/mirrored"), withinTheMesh)
	equalLists(t, "the mirror outside", oursAt(t, m.outside, "/mirrored"), nil)
}

// sendOut sends a request to an Envoy in plaintext: to a sidecar as its program does, or to a gateway.
func sendOut(t testing.TB, envoy, host, path string, fields ...string) reply {
	t.Helper()
	conn, err := net.DialTimeout("tcp", envoy, patience)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	raw := "GET http://" + host + path + " HTTP/1.1\r\n" + head(append([]string{"Host: " + host}, fields...)...)
	_, err = io.WriteString(conn, raw)
	must(t, err)
	return readReply(t, bufio.NewReader(conn), "GET")
}

// oursAt waits for the one request with a path, and gives the values of all its headers of ours, in
// order.
func oursAt(t testing.TB, u *upstream, path string) (ours []string) {
	t.Helper()
	var got []arrival
	eventually(t, path+" has arrived", func() bool {
		got = append(got, slices.DeleteFunc(u.take(), func(a arrival) bool { return a.target() == settled })...)
		return len(got) > 0
	})
	if len(got) != 1 || got[0].target() != path || got[0].value("keep") != "1" {
		t.Fatalf("arrived: %+v", got)
	}
	for _, field := range got[0].fields {
		name, value, _ := strings.Cut(field, ": ")
		if identity.IsReservedHeader(name) {
			ours = append(ours, value)
		}
	}
	return ours
}
