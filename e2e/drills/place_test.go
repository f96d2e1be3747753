package drills

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/hbone"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
)

// place is a position of Envoys that ask the authorizer.
type place struct {
	name     string
	topology string // of e2e/localmesh/topologies; empty: the tour
	config   string // of the authorizer, in testdata
	identity string // SPIFFE id of the authorizer's certificate; empty: it has none
	ports    []int  // of the authorizer, the asking Envoys' first
	decided  answers
	envoys   []string // that start in addition to those of called
	asking   string   // the Envoy that asks about all requests; empty: only those of called ask
	behind   bool     // the Envoys of called ask too
	called   []string // workloads whose programs are called
	outside  bool     // callers are outside of the mesh
	istiod   []string // environment of the control plane
	edits    []fileEdit
	slices   []string               // files of cluster with the authorizer's endpoints, the asking Envoys' first
	prepare  func(*testing.T, *rig) // nil: nothing more is needed
}

// sidecars: each workload's own Envoy asks. One workload uses the open provider, and one uses none.
var sidecars = place{
	name: "sidecar", config: "meshpass.yaml", ports: []int{9000}, decided: decided,
	envoys: []string{"tyk-gateway"}, called: []string{closed, open}, behind: true,
	edits: []fileEdit{
		{"cluster/reports.yaml", `meshpass.dev/guarded: "true"`, "meshpass.dev/guarded: open"},
		{"cluster/inventory.yaml", `meshpass.dev/guarded: "true"`, "drills: ordering"},
	},
}

// waypoint: callers' tunnels end at it, and it asks about the requests to all Services behind it.
var waypoint = place{
	name: "waypoint", topology: "waypoint", config: "meshpass-waypoint.yaml", ports: []int{9010}, decided: decided,
	identity: "spiffe://cluster.local/ns/meshpass/sa/meshpass",
	envoys:   []string{"waypoint"}, asking: "waypoint", called: []string{"orders"},
	slices: []string{"cluster/meshpass.yaml"},
	prepare: func(t *testing.T, r *rig) {
		r.writeCertificates(t)
		r.serveTunnels(t, "tyk-gateway")
	},
}

// ingress: the gateway asks about the requests that enter the mesh, and the Envoy of each workload asks again.
var ingress = place{
	name: "ingress gateway", topology: "ingress", config: "meshpass-ingress.yaml", ports: []int{9020, 9000}, decided: decidedAtGateway,
	envoys: []string{"istio-ingressgateway"}, asking: "istio-ingressgateway", called: []string{"orders"}, behind: true,
	slices:  []string{"cluster/meshpass-ingress.yaml", "cluster/meshpass.yaml"},
	outside: true, prepare: writePublicCertificate,
}

// askingEnvoys returns the Envoys that ask about requests to a workload, in the order of the request's way.
func (r *rig) askingEnvoys(to string) (names []string) {
	if r.place.asking != "" {
		names = append(names, r.place.asking)
	}
	if r.place.behind {
		names = append(names, to)
	}
	return names
}

// writePlace writes the files in which the place's topology differs from the tour.
func (r *rig) writePlace(t *testing.T) {
	t.Helper()
	if r.place.topology == "" {
		return
	}
	must(t, os.Mkdir(r.filePath("place"), 0o755))
	topology := mustGet(topologies.Load(r.place.topology))(t)
	for _, name := range topology.Without {
		must(t, os.Remove(r.filePath("cluster", name)))
	}
	for dir, folder := range map[string]string{"cluster": "cluster", "policies": "policies", "": "config"} {
		for _, layer := range mustGet(topology.Files(folder))(t) {
			must(t, r.net.CopyDir(r.filePath(dir), layer))
		}
	}
	for _, folder := range topology.Istio {
		must(t, r.net.CopyDir(r.filePath("place"), os.DirFS(filepath.Join(r.root, "manifests", "istio", folder))))
	}
	r.place.istiod = topology.Istiod
}

// certificateOf returns the TLS of a program with a certificate of the mesh.
func (r *rig) certificateOf(t *testing.T, identity string) *tls.Config {
	t.Helper()
	id := mustGet(url.Parse(identity))(t)
	pair := mustGet(r.authority.Issue(sds.Names{URIs: []*url.URL{id}}))(t)
	return &tls.Config{
		Certificates: []tls.Certificate{mustGet(tls.X509KeyPair(pair.Cert, pair.Key))(t)},
		NextProtos:   []string{"h2"},
		// The mesh's certificates hold no host name, and the peer's identity is not what is tested.
		InsecureSkipVerify: true,
	}
}

// writeCertificates writes what Istio's agent writes beside an authorizer that serves mutual TLS itself.
func (r *rig) writeCertificates(t *testing.T) {
	t.Helper()
	pair := mustGet(r.authority.Issue(mustGet(sds.ParseNames(r.place.identity))(t)))(t)
	for name, data := range map[string][]byte{"meshpass.crt": pair.Cert, "meshpass.key": pair.Key, "roots.crt": r.authority.RootPEM()} {
		must(t, os.WriteFile(r.filePath(name), data, 0o600))
	}
}

// serveTunnels replaces the ztunnel beside a workload, on the calling side.
func (r *rig) serveTunnels(t *testing.T, from string) {
	t.Helper()
	caller := r.workloads[from]
	services := mustGet(cluster.LoadServices(os.DirFS(r.filePath("cluster")), r.net.Prefix()))(t)
	dialer := hbone.NewDialer(r.certificateOf(t, caller.SPIFFE()))
	proxy := hbone.NewProxy(dialer, fmt.Sprintf("%s:%d", r.workloads["waypoint"].Address, hbone.Port), services)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // the drill compares the answers
	listener := mustGet(net.Listen("tcp", strings.TrimPrefix(caller.ProxyURL(), "http://")))(t)
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(listener) }() // ends when closed
	stopAtEnd(t, server.Close)
}

const (
	publicDomain = "demo.meshpass.dev"
	ingressPort  = 8443
)

// writePublicCertificate gives the ingress gateway a certificate that clients outside of the mesh trust.
func writePublicCertificate(t *testing.T, r *rig) {
	authority := mustGet(sds.NewAuthority())(t)
	pair := mustGet(authority.Issue(sds.Names{DNS: []string{"*." + publicDomain}}))(t)
	encode := base64.StdEncoding.EncodeToString
	secret := fmt.Sprintf("apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: meshpass-ingress, namespace: istio-system}\n"+
		"data: {tls.crt: %s, tls.key: %s}\n", encode(pair.Cert), encode(pair.Key))
	must(t, os.WriteFile(r.filePath("cluster", "ingress-certificate.yaml"), []byte(secret), 0o600))
	must(t, os.WriteFile(r.filePath("public-ca.pem"), authority.RootPEM(), 0o600))
}

// clientOutside returns a client that reaches the ingress gateway by its public names.
func (r *rig) clientOutside(t *testing.T) *http.Client {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(mustGet(os.ReadFile(r.filePath("public-ca.pem")))(t)) {
		t.Fatal("no public certificate")
	}
	address := fmt.Sprintf("%s:%d", r.workloads[ingress.asking].Address, ingressPort)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}
