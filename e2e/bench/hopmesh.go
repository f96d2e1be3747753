package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// hopVariant is a way to guard a workload.
type hopVariant struct {
	name   string
	host   int    // last part of its address
	label  string // of its pod: meshpass.dev/guarded
	asks   string // the authorizer; empty: none
	object string // more objects for Istio; {{jwks}} is the key set of the issuer
}

// hopVariants: a shared authorizer is reached with mutual TLS and remembers a token after its first hop. An authorizer beside each
// workload is reached over loopback, and each of them verifies the token: one without a cache is the stand-in for all.
var hopVariants = []hopVariant{
	{name: "plain", host: 21},
	{name: "native", host: 22, object: nativeObjects},
	{name: "shared", host: 23, label: "true", asks: "shared"},
	{name: "beside", host: 24, asks: "beside", object: besideObjects},
	{name: "filtered", host: 25, label: "true", asks: "shared"}, // shared, with the EnvoyFilter of meshpass istio headers
}

// nativeObjects are what Istio can enforce of the document of [hopDocument].
const nativeObjects = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: hop-native, namespace: shop}
spec:
  selector: {matchLabels: {app: hop-native}}
  jwtRules:
    - issuer: https://es256.bench.meshpass.dev
      audiences: [bench.meshpass.dev]
      fromHeaders: [{name: Txn-Token}]
      forwardOriginalToken: true
      jwks: '{{jwks}}'
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: hop-native, namespace: shop}
spec:
  selector: {matchLabels: {app: hop-native}}
  action: ALLOW
  rules:
    - from: [{source: {requestPrincipals: ["https://es256.bench.meshpass.dev/*"], principals: [cluster.local/ns/edge/sa/tyk-gateway]}}]
      to: [{operation: {methods: [GET], paths: ["/tenants/*"]}}]
      when: [{key: "request.auth.claims[scope]", values: [orders.read]}]
`

const besideObjects = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: authorizer, namespace: meshpass}
spec:
  hosts: [authorizer.meshpass.internal]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 9000, name: grpc, protocol: GRPC}]
  endpoints: [{address: 127.77.0.24}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: hop-beside, namespace: shop}
spec:
  selector: {matchLabels: {app: hop-beside}}
  action: CUSTOM
  provider: {name: meshpass-beside}
  rules: [{}]
`

const besideProvider = `      - name: meshpass-beside
        envoyExtAuthzGrpc: {service: authorizer.meshpass.internal, port: 9000, timeout: 10s, failOpen: false, statusOnError: "503"}
`

const hopDocument = `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: hops}
spec:
  targets: {workloads: [ns/shop/sa/hop-shared, ns/shop/sa/hop-beside, ns/shop/sa/hop-filtered]}
  rules:
    - name: read-own-tenant
      effect: allow
      from: {workloads: [ns/edge/sa/tyk-gateway]}
      to: {methods: [GET], paths: ["/tenants/{tenant}/orders/{order}"]}
      scopes: [orders.read]
      when: claims.tctx.tenant == path.tenant
`

// hopMesh is a sidecar for each variant, as Istio's control plane configures it, with the program behind it, and the authorizers.
type hopMesh struct {
	net       *subnet.Subnet
	dir       string
	workloads map[string]envoy.Workload
	envoys    map[string]*envoy.Proc
	asked     map[string]*process.Proc // authorizers
	tokens    *authorizer              // mints tokens
	client    *http.Client             // a caller of the mesh
	ends      []func() error
}

func startHopMesh(ctx context.Context) (_ *hopMesh, err error) {
	m := &hopMesh{envoys: map[string]*envoy.Proc{}, asked: map[string]*process.Proc{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.net, err = subnet.Claim(); err != nil {
		return nil, err
	}
	m.onClose(m.net.Release)
	if m.dir, err = os.MkdirTemp("", "meshpass-hops-"); err != nil {
		return nil, err
	}
	m.onClose(func() error { return os.RemoveAll(m.dir) })
	ca, err := sds.NewAuthority()
	if err != nil {
		return nil, err
	}
	issuer, err := sds.Serve(ctx, m.net.Addr(3)+":15012", ca, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	m.onClose(func() error { issuer.Stop(); return nil })
	for _, step := range []func(context.Context, *sds.Authority) error{m.startHopAuthorizers, m.startHopControlPlane, m.startRelays, m.startHopEnvoys} {
		if err := step(ctx, ca); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *hopMesh) onClose(end func() error) { m.ends = append(m.ends, end) }

func (m *hopMesh) close() error {
	var errs []error
	for i := len(m.ends) - 1; i >= 0; i-- {
		errs = append(errs, m.ends[i]())
	}
	m.ends = nil
	return errors.Join(errs...)
}

// startHopAuthorizers starts them with the shipped defaults, as the other rows do.
func (m *hopMesh) startHopAuthorizers(ctx context.Context, ca *sds.Authority) error {
	id, err := url.Parse("spiffe://cluster.local/ns/meshpass/sa/meshpass")
	if err != nil {
		return err
	}
	pair, err := ca.Issue(sds.Names{URIs: []*url.URL{id}})
	if err != nil {
		return err
	}
	dir := filepath.Join(m.dir, "authorizer")
	m.tokens = &authorizer{dir: dir, minters: map[string]*token.Minter{}}
	if err := os.MkdirAll(filepath.Join(dir, "policies"), 0o700); err != nil {
		return err
	}
	entry, err := m.tokens.addIssuer(keyset.ES256)
	if err != nil {
		return err
	}
	if err := m.tokens.addFiles(authorizerConfig+entry, map[string]string{"hops.yaml": hopDocument}); err != nil {
		return err
	}
	files := map[string][]byte{"tls.crt": pair.Cert, "tls.key": pair.Key, "roots.crt": ca.RootPEM()}
	shared := strings.NewReplacer("127.0.0.1:0\", caller", m.net.Addr(5)+":9000\", caller", "audit.log", "audit-shared.log",
		"tls: {mode: plaintext}", `tls: {mode: mtls, certFile: tls.crt, keyFile: tls.key, clientCAFile: roots.crt, clients: ["ns/shop/sa/*"]}`)
	beside := strings.NewReplacer("127.0.0.1:0\", caller", m.net.Addr(24)+":9000\", caller", "audit.log", "audit-beside.log",
		"tls: {mode: plaintext}", "cache: {verifiedTokens: 0}\ntls: {mode: plaintext}")
	files["shared.yaml"], files["beside.yaml"] = []byte(shared.Replace(authorizerConfig+entry)), []byte(beside.Replace(authorizerConfig+entry))
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	for name, address := range map[string]string{"shared": m.net.Addr(5) + ":9000", "beside": m.net.Addr(24) + ":9000"} {
		p, err := m.startProgram(ctx, process.Spec{
			Name: "meshpass", Path: "meshpass", Dir: dir, Stderr: filepath.Join(dir, name+".log"), Args: []string{"serve", "--config", name + ".yaml", "--drain-delay", "0s"},
		}, address)
		if err != nil {
			return err
		}
		m.asked[name] = p
	}
	return nil
}

// startProgram starts a program of bin/, and waits until it accepts connections.
func (m *hopMesh) startProgram(ctx context.Context, spec process.Spec, address string) (*process.Proc, error) {
	path, err := repo.Bin(spec.Path, "bin/"+spec.Path)
	if err != nil {
		return nil, err
	}
	spec.Path = path
	p, err := process.Start(spec)
	if err != nil {
		return nil, err
	}
	m.onClose(p.Stop)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = p.AwaitReady(ctx, process.NewListeningCheck(address))
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, lastLines(spec.Stderr))
	}
	return p, nil
}

// startHopControlPlane gives Istio our manifests, and a pod of each variant.
func (m *hopMesh) startHopControlPlane(ctx context.Context, _ *sds.Authority) error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	manifests, objects, istio := filepath.Join(root, "manifests", "istio"), filepath.Join(m.dir, "objects"), filepath.Join(m.dir, "istio")
	for _, dir := range []string{objects, istio} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := errors.Join(m.net.CopyDir(istio, os.DirFS(manifests)), m.writeObjects(ctx, objects)); err != nil {
		return err
	}
	mesh := filepath.Join(istio, "install.yaml")
	text, err := os.ReadFile(mesh)
	if err != nil {
		return err
	}
	text = bytes.Replace(text, []byte("    extensionProviders:\n"), []byte("    extensionProviders:\n"+besideProvider), 1)
	text = bytes.ReplaceAll(text, []byte("timeout: 0.25s"), []byte("timeout: 10s")) // another program of the machine may take the processor
	if err := os.WriteFile(mesh, text, 0o600); err != nil {
		return err
	}
	if m.workloads, err = cluster.LoadWorkloads(os.DirFS(objects), m.net.Prefix()); err != nil {
		return err
	}
	xds := m.net.Addr(2) + ":15010"
	_, err = m.startProgram(ctx, process.Spec{
		Name: "istiod", Path: "istiod", Stderr: filepath.Join(m.dir, "istiod.log"),
		Args: []string{"serve", "--listen", xds, "--mesh", mesh, "--dir", istio, "--dir", filepath.Join(manifests, "strict"), "--dir", objects},
	}, xds)
	return err
}

// writeObjects writes the objects of the cluster: those of the local mesh for the caller and the authorizer, and for each variant
// those of orders under another name.
func (m *hopMesh) writeObjects(ctx context.Context, dir string) error {
	files := map[string]string{}
	for _, name := range []string{"tyk-gateway.yaml", "meshpass.yaml", "orders.yaml"} {
		text, err := fs.ReadFile(cluster.Files, name)
		if err != nil {
			return err
		}
		files[name] = string(text)
	}
	// Envoys reach the shared authorizer with mutual TLS if its pod has this label.
	files["meshpass.yaml"] = strings.Replace(files["meshpass.yaml"], "labels: {app: meshpass}", "labels: {app: meshpass, security.istio.io/tlsMode: istio}", 1)
	jwks, err := os.ReadFile(filepath.Join(m.tokens.dir, "es256.json"))
	if err != nil {
		return err
	}
	orders := files["orders.yaml"]
	delete(files, "orders.yaml")
	for _, v := range hopVariants {
		text := strings.NewReplacer("127.77.0.11", fmt.Sprintf("127.77.0.%d", v.host), "orders", "hop-"+v.name).Replace(orders)
		if v.label == "" {
			text = strings.Replace(text, `    meshpass.dev/guarded: "true"`+"\n", "", 1)
		}
		if v.object != "" {
			text += "---\n" + strings.Replace(v.object, "{{jwks}}", string(jwks), 1)
		}
		files[v.name+".yaml"] = text
	}
	filter, err := m.makeHeaderFilter(ctx)
	if err != nil {
		return err
	}
	files["filter.yaml"] = filter
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), subnet.Localise([]byte(text), m.net.Prefix()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// makeHeaderFilter is the EnvoyFilter of the command, for the variant filtered alone.
func (m *hopMesh) makeHeaderFilter(ctx context.Context) (string, error) {
	meshpass, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return "", err
	}
	text, err := exec.CommandContext(ctx, meshpass, "istio", "headers", "--namespace", "shop", filepath.Join(m.tokens.dir, "policies")).Output()
	return strings.Replace(string(text), "spec:\n", "spec:\n  workloadSelector:\n    labels: {app: hop-filtered}\n", 1), err
}

// Headers of the rig's requests.
const (
	hopsHeader    = "X-Hops-Left" // hops after this one
	variantHeader = "X-Hop-Variant"
)

// startRelays starts the program behind each sidecar: it calls the next hop, which is the same sidecar again, with the token that it got.
func (m *hopMesh) startRelays(_ context.Context, ca *sds.Authority) error {
	caller := m.workloads["tyk-gateway"]
	id, err := url.Parse(caller.SPIFFE())
	if err != nil {
		return err
	}
	pair, err := ca.Issue(sds.Names{URIs: []*url.URL{id}})
	if err != nil {
		return err
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	m.client = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 64, TLSClientConfig: &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // its certificate names no host
	}}}
	m.onClose(func() error { m.client.CloseIdleConnections(); return nil })
	for _, v := range hopVariants {
		listener, err := net.Listen("tcp", m.workloads["hop-"+v.name].Address+":9080")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: http.HandlerFunc(m.relay), ReadHeaderTimeout: patience}
		go func() { _ = server.Serve(listener) }() // ends when closed
		m.onClose(server.Close)
	}
	return nil
}

func (m *hopMesh) relay(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.Atoi(r.Header.Get(hopsHeader))
	if err != nil || left == 0 {
		return // 200
	}
	header := r.Header.Clone()
	header.Set(hopsHeader, strconv.Itoa(left-1))
	status, err := m.call(r.Context(), r.Header.Get(variantHeader), header)
	if err != nil {
		status = http.StatusBadGateway
	}
	w.WriteHeader(status)
}

// call sends a request to the sidecar of a variant.
func (m *hopMesh) call(ctx context.Context, variant string, header http.Header) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+m.workloads["hop-"+variant].Address+":8080/tenants/acme/orders/7", nil)
	if err != nil {
		return 0, err
	}
	request.Header, request.Host = header, "hop-"+variant+".shop.svc.cluster.local:8080"
	response, err := m.client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func (m *hopMesh) startHopEnvoys(ctx context.Context, _ *sds.Authority) error {
	bin, err := repo.BinDir()
	if err != nil {
		return err
	}
	binary, err := envoy.Find(bin)
	if err != nil {
		return err
	}
	for _, v := range hopVariants {
		p, err := envoy.Start(ctx, envoy.Options{Binary: binary, Workload: m.workloads["hop-"+v.name], XDS: m.net.Addr(2) + ":15010", SDS: m.net.Addr(3) + ":15012", Dir: m.dir})
		if err != nil {
			return err
		}
		m.onClose(p.Stop)
		m.envoys[v.name] = p
	}
	return nil
}
