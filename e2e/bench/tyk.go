package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
)

// tyk is a running gateway, whose plugin signs with one algorithm.
type tyk struct {
	process *process.Proc
	dir     string
	url     string // for clients
	control string // URL of its control API
	key     string // an API key
}

const controlSecret = "bench"

// pluginConfig has the shipped defaults: metrics, and audit records in a file.
const pluginConfig = `
issuer: https://tyk.bench.meshpass.dev
audience: bench.meshpass.dev
workload: spiffe://cluster.local/ns/edge/sa/tyk-gateway
keys: {dir: keys}
idps:
  - {alias: bench, issuer: "https://idp.bench.meshpass.dev", audiences: [shop], subject: sub, scopes: [scope], claims: {tenant: tenant, roles: roles}}
apiKeys: {subject: meta.developer_id, claims: {tenant: meta.tenant}}
secretFile: secret
upstreams: [127.0.0.1]
audit: {output: stdout}
metrics: "127.0.0.1:0"
`

// startTyk starts a gateway on the processor for servers, with the APIs of [gatewayAPIs].
func startTyk(ctx context.Context, r Round, dir, algorithm string, cpu int, redis *net.TCPAddr, upstream string) (_ *tyk, err error) {
	t := &tyk{dir: dir}
	if err := t.writeFiles(algorithm, redis, upstream); err != nil {
		return nil, err
	}
	program, err := repo.Bin("tyk", "build")
	if err != nil {
		return nil, err
	}
	spec := process.Spec{
		Name: "tyk", Path: program, Args: []string{"--conf", "tyk.conf"}, Dir: dir, Pinned: true, CPU: cpu,
		Env: []string{"MESHPASS_CONFIG=identity.yaml"}, Stdout: filepath.Join(dir, "audit.log"), Stderr: filepath.Join(dir, "tyk.log"),
	}
	if r.Profile != "" {
		spec.Args = append(spec.Args, "--httpprofile")
	}
	if t.process, err = process.Start(spec); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.process.Stop(), errors.New(lastLines(spec.Stderr)))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := t.process.AwaitReady(ctx, t.checkLoaded); err != nil {
		return nil, err
	}
	t.key, err = t.createKey(ctx)
	return t, err
}

func (t *tyk) writeFiles(algorithm string, redis *net.TCPAddr, upstream string) error {
	for _, folder := range []string{"apis", "middleware"} {
		if err := os.MkdirAll(filepath.Join(t.dir, folder), 0o700); err != nil {
			return err
		}
	}
	if _, err := makeKeys(filepath.Join(t.dir, "keys"), algorithm); err != nil {
		return err
	}
	bin, err := repo.BinDir()
	if err != nil {
		return err
	}
	for link, target := range map[string]string{"plugins": "plugins", "templates": "tyk-templates"} { // Tyk looks below its working directory
		if err := os.Symlink(filepath.Join(bin, target), filepath.Join(t.dir, link)); err != nil {
			return err
		}
	}
	conf, err := t.writeConf(redis)
	if err != nil {
		return err
	}
	files := map[string]string{
		"tyk.conf": conf, "identity.yaml": pluginConfig, "secret": "a secret for benchmarks, of more than 32 bytes\n",
		"policies.json": `{"all": {"id": "all", "org_id": "bench", "active": true, "rate": -1, "quota_max": -1, "access_rights": ` + accessRights() + `}}`,
	}
	for _, a := range gatewayAPIs {
		data, err := json.Marshal(a.definition(upstream))
		if err != nil {
			return err
		}
		files[filepath.Join("apis", a.id+".json")] = string(data)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(t.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeConf starts from the configuration of the local mesh, with other addresses.
func (t *tyk) writeConf(redis *net.TCPAddr) (string, error) {
	root, err := repo.Root()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(filepath.Join(root, "e2e", "localmesh", "config", "tyk.conf"))
	if err != nil {
		return "", err
	}
	conf := map[string]any{}
	if err := json.Unmarshal(text, &conf); err != nil {
		return "", err
	}
	port, control, err := findFreePorts()
	if err != nil {
		return "", err
	}
	conf["listen_address"], conf["listen_port"], conf["control_api_port"] = "127.0.0.1", port, control
	conf["secret"], conf["node_secret"] = controlSecret, controlSecret
	conf["storage"] = map[string]any{"type": "redis", "host": redis.IP.String(), "port": redis.Port}
	t.url, t.control = "http://127.0.0.1:"+strconv.Itoa(port), "http://127.0.0.1:"+strconv.Itoa(control)
	data, err := json.Marshal(conf)
	return string(data), err
}

// findFreePorts finds two ports that are free now.
func findFreePorts() (first, second int, err error) {
	ports := [2]int{}
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, 0, err
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1], nil
}

// checkLoaded is nil once the APIs are loaded: Tyk itself is ready before.
func (t *tyk) checkLoaded(ctx context.Context) error {
	for _, a := range gatewayAPIs {
		status, _, err := t.ask(ctx, http.MethodGet, t.url+a.listenPath(), "")
		if err != nil {
			return err
		}
		if status == http.StatusNotFound {
			return fmt.Errorf("API %s is not loaded", a.id)
		}
	}
	return nil
}

// createKey creates an API key without a rate limit, for all APIs.
func (t *tyk) createKey(ctx context.Context) (string, error) {
	status, body, err := t.ask(ctx, http.MethodPost, t.control+"/tyk/keys/create",
		`{"org_id": "bench", "rate": -1, "quota_max": -1, "apply_policies": [], "meta_data": {"developer_id": "bench", "tenant": "acme"}, "access_rights": `+accessRights()+`}`)
	if err != nil {
		return "", err
	}
	var created struct{ Key string }
	if err := json.Unmarshal(body, &created); err != nil || created.Key == "" {
		return "", fmt.Errorf("the control API answered %d: %s", status, body)
	}
	return created.Key, nil
}

func (t *tyk) ask(ctx context.Context, method, url, body string) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("X-Tyk-Authorization", controlSecret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// profileDuring writes a CPU profile of the gateway while do runs, into the folder of profiles, if there is one.
func (t *tyk) profileDuring(ctx context.Context, r Round, api string, do func() (answered, error)) (answered, error) {
	if r.Profile == "" {
		return do()
	}
	profile := make(chan []byte, 1)
	go func() {
		_, data, err := t.ask(ctx, http.MethodGet, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", t.control, max(1, int(r.Length.Seconds()))), "")
		if err != nil {
			r.Log("no profile: %v", err)
		}
		profile <- data
	}()
	got, err := do()
	name := fmt.Sprintf("gateway-%s-%s-%d.pprof", filepath.Base(t.dir), api, r.Number) // the folder has the name of the algorithm
	return got, errors.Join(err, os.WriteFile(filepath.Join(r.Profile, name), <-profile, 0o644))
}
