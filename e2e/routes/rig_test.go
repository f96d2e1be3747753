package routes_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
)

// installation is a gateway with its definitions.
type installation struct {
	conf string            // what differs from the gateway's defaults, as JSON
	apis map[string]string // classic definitions, by id
	open map[string]string // definitions in OpenAPI form, by id, which the control API takes
}

// arrival is a request at an upstream.
type arrival struct {
	upstream string // NAME:PORT of the Service
	method   string
	path     string // as it was written, without the query
	query    string
	host     string
}

// reply is what became of a request.
type reply struct {
	status   int // 0: the connection was closed
	location string
	arrived  []arrival
}

// rig has a gateway, and an Envoy for each kind of routes.
type rig struct {
	dir     string
	net     *subnet.Subnet
	meshrun string // the program meshpass
	tyk     string // address of the gateway
	envoys  map[string]string

	lock     sync.Mutex
	arrivals map[string][]arrival // by the field Probe
	probes   int
}

// services are the upstreams, by their names; all are in the namespace shop.
var services = []string{"orders", "reports", "items"}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newRig(t *testing.T, i installation) *rig {
	t.Helper()
	claimed, err := subnet.Claim()
	must(t, err)
	t.Cleanup(func() { must(t, claimed.Release()) })
	r := &rig{dir: t.TempDir(), net: claimed, envoys: map[string]string{}, arrivals: map[string][]arrival{}}
	r.meshrun, err = repo.Bin("meshpass", "build")
	must(t, err)
	for i, name := range services {
		r.listen(t, net.JoinHostPort(claimed.Addr(31+i), "8080"), name+":8080")
	}
	r.listen(t, net.JoinHostPort(claimed.Addr(5), "3128"), "")
	r.writeDefinitions(t, i)
	r.startTyk(t, i)
	return r
}

// listen serves an upstream. Without a name, it is the proxy that the gateway sends through: the URL names the upstream.
func (r *rig) listen(t *testing.T, address, name string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		a := arrival{upstream: name, method: request.Method, host: request.Host}
		target := request.RequestURI
		if rest, found := strings.CutPrefix(target, "http://"); found {
			var host string
			host, target = cutBefore(rest, "/")
			service, port := cutBefore(host, ":")
			service, _, _ = strings.Cut(service, ".")
			if port == "" {
				port = ":80"
			}
			a.upstream = service + port
		}
		a.path, a.query, _ = strings.Cut(target, "?")
		r.lock.Lock()
		defer r.lock.Unlock()
		probe := request.Header.Get("Probe")
		r.arrivals[probe] = append(r.arrivals[probe], a)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		must(t, server.Close())
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

// cutBefore cuts a text before the first separator, which stays in the rest.
func cutBefore(text, separator string) (before, rest string) {
	if at := strings.Index(text, separator); at >= 0 {
		return text[:at], text[at:]
	}
	return text, ""
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(r.path(name)), 0o700))
	must(t, os.WriteFile(r.path(name), []byte(text), 0o600))
}

func (r *rig) writeDefinitions(t *testing.T, i installation) {
	t.Helper()
	for id, text := range i.apis {
		r.write(t, "apis/"+id+".json", text)
		r.write(t, "input/"+id+".json", text)
	}
	for id, text := range i.open {
		r.write(t, "input/"+id+".json", text)
	}
	conf := map[string]any{}
	for _, text := range []string{fmt.Sprintf(`{
		"listen_address": %q, "listen_port": 8080, "control_api_port": 8081, "secret": "e2e", "node_secret": "e2e", "template_path": "templates", "middleware_path": "middleware",
		"pid_file_location": "tyk.pid", "app_path": "apis/", "policies": {"policy_source": "file", "policy_record_name": "policies.json"},
		"storage": {"type": "redis"}, "enable_analytics": false, "allow_insecure_configs": true, "log_level": "info"}`, r.net.Addr(10)), i.conf} {
		must(t, json.Unmarshal([]byte(text), &conf))
	}
	text, err := json.Marshal(conf)
	must(t, err)
	r.write(t, "input/tyk.conf", string(text))
	redis := miniredis.RunT(t)
	var port any
	must(t, json.Unmarshal([]byte(redis.Port()), &port))
	conf["storage"] = map[string]any{"type": "redis", "host": redis.Host(), "port": port}
	text, err = json.Marshal(conf)
	must(t, err)
	r.write(t, "tyk.conf", string(text))
	r.write(t, "policies.json", "{}")
}

func (r *rig) startTyk(t *testing.T, i installation) {
	t.Helper()
	path, err := repo.Bin("tyk", "build")
	must(t, err)
	bin, err := repo.BinDir()
	must(t, err)
	must(t, os.MkdirAll(r.path("middleware"), 0o700))
	must(t, os.Symlink(filepath.Join(bin, "tyk-templates"), r.path("templates")))
	tyk, err := process.Start(process.Spec{
		Name: "tyk", Path: path, Args: []string{"--conf", "tyk.conf"}, Dir: r.dir,
		Env:    []string{"HTTP_PROXY=http://" + net.JoinHostPort(r.net.Addr(5), "3128"), "http_proxy=", "NO_PROXY=", "no_proxy="},
		Stdout: r.path("tyk.log"), Stderr: r.path("tyk.log"),
	})
	must(t, err)
	t.Cleanup(func() {
		must(t, tyk.Stop())
		if log, err := os.ReadFile(r.path("tyk.log")); t.Failed() && err == nil {
			t.Logf("the gateway's log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	r.tyk = net.JoinHostPort(r.net.Addr(10), "8080")
	control := "http://" + net.JoinHostPort(r.net.Addr(10), "8081")
	r.await(t, tyk, func(ctx context.Context) error {
		_, _, err := r.control(ctx, control, http.MethodGet, "/tyk/apis", "")
		return err
	})
	for id, text := range i.open {
		status, body, err := r.control(t.Context(), control, http.MethodPost, "/tyk/apis/oas", text)
		must(t, err)
		if status != http.StatusOK {
			t.Fatalf("definition %s: %d %s", id, status, body)
		}
	}
	if len(i.open) > 0 {
		_, _, err := r.control(t.Context(), control, http.MethodGet, "/tyk/reload?block=true", "")
		must(t, err)
	}
	r.await(t, tyk, func(ctx context.Context) error {
		_, body, err := r.control(ctx, control, http.MethodGet, "/tyk/apis", "")
		if err == nil && (strings.Count(body, `"api_id"`) < len(i.apis)+len(i.open)) {
			err = errors.New("not all APIs are loaded")
		}
		return err
	})
}

func (r *rig) await(t *testing.T, p *process.Proc, ready func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	must(t, p.AwaitReady(ctx, ready))
}

func (r *rig) control(ctx context.Context, base, method, path, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("X-Tyk-Authorization", "e2e")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// meshpass runs the program. An exit code of 1 is the answer no.
func (r *rig) meshpass(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.meshrun, args...)
	var out, log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return out.String(), log.String(), 1
	}
	if err != nil {
		t.Fatalf("meshpass %s: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	return out.String(), log.String(), 0
}

// startEnvoys has istiod configure one Envoy for each kind, with the rendered routes.
func (r *rig) startEnvoys(t *testing.T, rendered map[string]string) {
	t.Helper()
	mesh := `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: mesh, namespace: istio-system}
spec:
  meshConfig:
    pathNormalization: {normalization: BASE}
`
	r.write(t, "mesh.yaml", mesh)
	objects := "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: edge}\n"
	for i, name := range services {
		objects += fmt.Sprintf(`---
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: shop}
spec: {clusterIP: 10.9.0.%[2]d, ports: [{name: http, port: 8080, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s, namespace: shop, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
endpoints: [{addresses: [%[3]s], conditions: {ready: true}}]
ports: [{name: http, port: 8080, protocol: TCP}]
`, name, i+1, r.net.Addr(31+i))
	}
	for i, kind := range []string{"httproute", "virtualservice"} {
		pod := r.net.Addr(41 + i)
		objects += fmt.Sprintf(`---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, namespace: edge, labels: {gateway.networking.k8s.io/gateway-name: %[1]s, app: %[1]s}}
spec: {serviceAccountName: %[1]s, containers: [{name: istio-proxy, image: proxyv2}]}
status: {phase: Running, podIP: %[2]s, podIPs: [{ip: %[2]s}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Service
metadata: {name: %[1]s-istio, namespace: edge}
spec: {clusterIP: %[2]s, selector: {app: %[1]s}, ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s, namespace: edge, labels: {kubernetes.io/service-name: %[1]s-istio}}
addressType: IPv4
endpoints: [{addresses: [%[2]s], conditions: {ready: true}, targetRef: {kind: Pod, name: %[1]s, namespace: edge}}]
ports: [{name: http, port: 8080, protocol: TCP}]
`, kind, pod)
	}
	objects += `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: httproute, namespace: edge}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: virtualservice, namespace: edge}
spec:
  selector: {app: virtualservice}
  servers: [{hosts: ["*"], port: {name: http, number: 80, protocol: HTTP}}]
`
	r.write(t, "objects/objects.yaml", objects)
	for kind, text := range rendered {
		r.write(t, "objects/"+kind+".yaml", text)
	}
	path, err := repo.Bin("istiod", "istiod")
	must(t, err)
	xds := net.JoinHostPort(r.net.Addr(2), "15010")
	istiod, err := process.Start(process.Spec{Name: "istiod", Path: path, Stderr: r.path("istiod.log"),
		Args: []string{"serve", "--listen", xds, "--mesh", r.path("mesh.yaml"), "--dir", r.path("objects")}})
	must(t, err)
	t.Cleanup(func() {
		must(t, istiod.Stop())
		if log, err := os.ReadFile(r.path("istiod.log")); t.Failed() && err == nil {
			t.Logf("istiod's log:\n%s", log)
		}
	})
	r.await(t, istiod, process.NewListeningCheck(xds))
	authority, err := sds.NewAuthority()
	must(t, err)
	certificates, err := sds.Serve(t.Context(), net.JoinHostPort(r.net.Addr(2), "15011"), authority, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(certificates.Stop)
	bin, err := repo.BinDir()
	must(t, err)
	binary, err := envoy.Find(bin)
	must(t, err)
	for i, kind := range []string{"httproute", "virtualservice"} {
		proxy, err := envoy.Start(t.Context(), envoy.Options{
			Binary: binary, XDS: xds, SDS: net.JoinHostPort(r.net.Addr(2), "15011"), Dir: r.dir,
			Workload: envoy.Workload{Type: envoy.Router, Name: kind, Namespace: "edge", ServiceAccount: kind, Address: r.net.Addr(41 + i),
				Labels: map[string]string{"gateway.networking.k8s.io/gateway-name": kind, "app": kind}},
		})
		must(t, err)
		t.Cleanup(func() { must(t, proxy.Stop()) })
		r.envoys[kind] = net.JoinHostPort(r.net.Addr(41+i), "8080")
	}
}

// request is one request that all receive.
type request struct {
	Method  string            `json:"method"`
	Host    string            `json:"host"`
	Target  string            `json:"target"`
	Headers map[string]string `json:"headers,omitempty"`
}

func (q request) String() string {
	return fmt.Sprintf("%s %s %s %v", q.Method, q.Host, q.Target, q.Headers)
}

// send writes the bytes of a request, and returns what became of it.
func (r *rig) send(t *testing.T, address string, q request) reply {
	t.Helper()
	r.lock.Lock()
	r.probes++
	probe := fmt.Sprint(r.probes)
	r.lock.Unlock()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	text := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nProbe: %s\r\nConnection: close\r\n", q.Method, q.Target, q.Host, probe)
	for name, value := range q.Headers {
		text += name + ": " + value + "\r\n"
	}
	_, err = io.WriteString(conn, text+"\r\n")
	must(t, err)
	var out reply
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: q.Method})
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		must(t, err)
		must(t, response.Body.Close())
		out.status, out.location = response.StatusCode, response.Header.Get("Location")
	}
	r.lock.Lock()
	defer r.lock.Unlock()
	out.arrived = r.arrivals[probe]
	return out
}

// decodePath undoes the escapes of a path, segment by segment: Tyk and Envoy escape different characters of one path.
func decodePath(path string) string {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if decoded, err := url.PathUnescape(segment); err == nil {
			segments[i] = strings.ReplaceAll(decoded, "/", "%2F")
		}
	}
	return strings.Join(segments, "/")
}
