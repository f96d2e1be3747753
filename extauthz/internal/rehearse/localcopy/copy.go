package localcopy

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Addresses of the parts, by the last octet and the port.
const (
	providerHost, providerPort     = 4, 9556
	authorizerHost, authorizerPort = 5, 9000
	opsPort                        = 9090
	redisHost, redisPort           = 6, 6379
	adminPort                      = 15000
	gatewayHost                    = 10
	gatewayPort, controlPort       = 8080, 8081
	egressPort                     = 15080
	firstService                   = 20
	startTimeout                   = 60 * time.Second
	signingAlgorithm               = keyset.DefaultAlgorithm
	gatewayOut, authorizerOut      = "tyk.out.log", "authorizer.out.log"
)

// Programs are the paths of the programs that run.
type Programs struct {
	Gateway, Envoy, Redis string
	Plugin                string // the plugin's .so
	Authorizer            string // meshpass itself
}

// Copy is a copy of a deployment.
type Copy struct {
	Changes  Changes
	APIs     []*API
	Policies map[string]Policy
	Services []Service
	Limiter  Limiter
	Matching Matching

	dir         string
	net         *subnet.Subnet
	programs    Programs
	plugin      *settings.Config
	providers   []identityProvider
	provider    *provider
	trustDomain string
	services    []*service
	secret      string // of the gateway's control API
	hashesKeys  bool   // of Tyk: sessions are found by the hash of their key
	stops       []func() error
	running     []program
}

func (c *Copy) addressOf(host, port int) string { return fmt.Sprintf("%s:%d", c.net.Addr(host), port) }

func (c *Copy) providerAddress() string   { return c.addressOf(providerHost, providerPort) }
func (c *Copy) authorizerAddress() string { return c.addressOf(authorizerHost, authorizerPort) }
func (c *Copy) opsAddress() string        { return c.addressOf(authorizerHost, opsPort) }
func (c *Copy) redisAddress() string      { return c.addressOf(redisHost, redisPort) }
func (c *Copy) egressAddress() string     { return c.addressOf(gatewayHost, egressPort) }
func (c *Copy) adminAddress() string      { return c.addressOf(gatewayHost, adminPort) }
func (c *Copy) controlURL() string        { return "http://" + c.addressOf(gatewayHost, controlPort) }
func (c *Copy) spiffeOf(account string) string {
	return "spiffe://" + c.trustDomain + "/" + account
}

// GatewayAddress is the address that clients send to. It is on loopback.
func (c *Copy) GatewayAddress() string { return c.addressOf(gatewayHost, gatewayPort) }

// Prepare reads the user's files and writes the copy into a new folder. Nothing is started. The caller calls [Copy.Close] in any case.
func Prepare(p *plan.Plan, programs Programs) (*Copy, error) {
	c := &Copy{programs: programs, Policies: map[string]Policy{}, trustDomain: "cluster.local", secret: rand.Text()}
	var err error
	if c.dir, err = os.MkdirTemp("", "meshpass-rehearse-"); err != nil {
		return c, err
	}
	if c.net, err = subnet.Claim(); err != nil {
		return c, err
	}
	c.onClose(c.net.Release)
	return c, c.writeFiles(p)
}

// writeFiles reports the mistakes of all files together.
func (c *Copy) writeFiles(p *plan.Plan) error {
	conf, err := c.buildConf(p.Gateway.Conf)
	plugin, pluginErr := c.readPlugin(p.Gateway.Plugin)
	policies, policiesErr := c.readPolicies(p.Gateway.Policies)
	err = errors.Join(err, pluginErr, policiesErr)
	var authorizer []byte
	if pluginErr == nil {
		var wrong error
		authorizer, wrong = c.readAuthorizer(p.Authorizer)
		err = errors.Join(err, wrong)
	}
	base := filepath.Dir(p.File)
	if p.Gateway.Conf != "" {
		base = filepath.Dir(p.Gateway.Conf)
	}
	l := &localiser{env: p.Gateway.Env, proxyURL: "http://" + c.egressAddress(), plugin: c.programs.Plugin, providers: c.providers, base: base, changes: &c.Changes}
	found, wrong := l.readDefinitions(p.Gateway.APIs)
	if err := errors.Join(err, wrong); err != nil {
		return err
	}
	c.APIs = found.apis
	if err := c.planServices(p, found.hosts); err != nil {
		return err
	}
	c.Changes.sortAll()
	for _, folder := range []string{"apis", "middleware", "templates", "keys"} {
		if err := os.Mkdir(filepath.Join(c.dir, folder), 0o700); err != nil {
			return err
		}
	}
	files := map[string][]byte{
		"tyk.conf": conf, "policies.json": policies, "identity.yaml": plugin, "authorizer.yaml": authorizer, "hmac": []byte(rand.Text() + rand.Text()),
		"templates/error.json": []byte(`{"error": "{{.Message}}"}`), "templates/error.xml": []byte("<error>{{.Message}}</error>"),
	}
	for name, data := range found.files {
		files[filepath.Join("apis", name)] = data
	}
	if files["envoy.json"], err = c.buildEnvoy(); err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), data, 0o600); err != nil {
			return err
		}
	}
	if err := c.writeKeys(); err != nil {
		return err
	}
	return c.writeCertificates()
}

func (c *Copy) writeKeys() error {
	now := time.Now()
	folder := filepath.Join(c.dir, "keys")
	schedule := keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Minute), SignUntil: now.AddDate(0, 0, 1), RemoveAfter: now.AddDate(0, 0, 2)}
	if _, err := keyset.CreateKey(folder, signingAlgorithm, schedule); err != nil {
		return err
	}
	keys, err := keyset.LoadSigningKeys(folder)
	if err != nil {
		return err
	}
	published, err := keys.JWKS(now)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, "jwks.json"), published, 0o600)
}

func (c *Copy) writeCertificates() error {
	ca, err := newAuthority(c.dir)
	if err != nil {
		return err
	}
	if err := ca.issueCertificate("gateway", c.plugin.Workload); err != nil {
		return err
	}
	for _, s := range c.services {
		if s.Account == "" {
			continue
		}
		if err := ca.issueCertificate(s.name, c.spiffeOf(s.Account)); err != nil {
			return err
		}
	}
	return nil
}

// Start starts all parts, and returns when the gateway answers. started is called before each part.
func (c *Copy) Start(ctx context.Context, starting func(part string)) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	steps := []struct {
		part  string
		start func(context.Context) error
	}{
		{"stand-ins for identity providers and services", c.startStandIns},
		{"Redis", c.startRedis},
		{"authorizer", c.startAuthorizer},
		{"Envoy", c.startEnvoy},
		{"gateway", c.startGateway},
	}
	for _, step := range steps {
		starting(step.part)
		if err := step.start(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.part, err)
		}
	}
	return nil
}

func (c *Copy) startStandIns(ctx context.Context) error {
	var err error
	if c.provider, err = newProvider(c.providerAddress()); err != nil {
		return err
	}
	if err := c.serveHTTP(ctx, c.providerAddress(), c.provider); err != nil {
		return err
	}
	return c.serveApps(ctx)
}

// serveHTTP serves in this process until the copy is closed.
func (c *Copy) serveHTTP(ctx context.Context, address string, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	c.onClose(server.Close)
	return nil
}

// programEnvironment is that of the programs: nothing of the caller's own may configure a gateway, and what they leave is removed with the copy.
func (c *Copy) programEnvironment(more ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "TMPDIR=" + c.dir}, more...)
}

func (c *Copy) startProgram(ctx context.Context, spec process.Spec, ready func(context.Context) error) error {
	spec.Dir, spec.Alone = c.dir, true
	spec.Stderr = filepath.Join(c.dir, spec.Name+".log")
	if spec.Stdout == "" {
		spec.Stdout = spec.Stderr
	} else {
		spec.Stdout = filepath.Join(c.dir, spec.Stdout)
	}
	p, err := process.Start(spec)
	if err != nil {
		return err
	}
	running := program{p, spec.Stderr}
	c.running = append(c.running, running)
	c.onClose(p.Stop)
	return running.explainError(p.AwaitReady(ctx, ready))
}

// program is one that runs, with its log.
type program struct {
	*process.Proc
	log string
}

// explainError adds the end of the log to an error, instead of its name: the log is removed with the copy.
func (p program) explainError(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimSuffix(err.Error(), "; see "+p.log) + lastLines(p.log))
}

// lastLines is the end of a log, for an error.
func lastLines(path string) string {
	data, err := os.ReadFile(path)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	lines = lines[max(0, len(lines)-8):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), 400)]
	}
	return "\n  " + strings.Join(lines, "\n  ")
}

func (c *Copy) startRedis(ctx context.Context) error {
	args := []string{"--bind", c.net.Addr(redisHost), "--port", fmt.Sprint(redisPort), "--save", "", "--appendonly", "no", "--daemonize", "no"}
	return c.startProgram(ctx, process.Spec{Name: "redis", Path: c.programs.Redis, Args: args, Env: c.programEnvironment()}, process.NewListeningCheck(c.redisAddress()))
}

func (c *Copy) startAuthorizer(ctx context.Context) error {
	return c.startProgram(ctx, process.Spec{
		Name: "authorizer", Path: c.programs.Authorizer, Args: []string{"serve", "--config", "authorizer.yaml", "--drain-delay", "0s"},
		Env: append(os.Environ(), c.programEnvironment()...), Stdout: authorizerOut, // its file may name variables
	}, checkAnswers("http://"+c.opsAddress()+"/readyz"))
}

var client = &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}, Timeout: 10 * time.Second}

// checkAnswers is a condition: the URL answers 200.
func checkAnswers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
			return fmt.Errorf("%s: %s %s", url, response.Status, bytes.TrimSpace(body))
		}
		return nil
	}
}

func (c *Copy) startEnvoy(ctx context.Context) error {
	return c.startProgram(ctx, process.Spec{
		Name: "envoy", Path: c.programs.Envoy, Env: c.programEnvironment(),
		Args: []string{"-c", "envoy.json", "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning", "--file-flush-interval-msec", "100"},
	}, checkAnswers("http://"+c.adminAddress()+"/ready"))
}

func (c *Copy) startGateway(ctx context.Context) error {
	err := c.startProgram(ctx, process.Spec{
		Name: "tyk", Path: c.programs.Gateway, Args: []string{"--conf", "tyk.conf"}, Stdout: gatewayOut,
		Env: c.programEnvironment("MESHPASS_CONFIG="+filepath.Join(c.dir, "identity.yaml"), "TYK_GW_SECRET="+c.secret, "TYK_GW_NODESECRET="+c.secret),
	}, c.checkLoaded)
	if err != nil {
		return err
	}
	return c.checkPlugin()
}

// checkPlugin finds in the gateway's log that a plugin could not be loaded. The gateway itself serves such an API, and answers 500.
func (c *Copy) checkPlugin() error {
	var failed error
	err := c.readLines("tyk.log", func(line []byte) {
		var entry struct{ Msg, Error string }
		if json.Unmarshal(line, &entry) == nil && strings.HasPrefix(entry.Msg, "Could not load Go-plugin") {
			failed = fmt.Errorf("it cannot load the plugin %s: %s", c.programs.Plugin, entry.Error)
		}
	})
	return errors.Join(failed, err)
}

// checkLoaded is nil once every API is loaded: Tyk's own /hello is green before.
func (c *Copy) checkLoaded(ctx context.Context) error {
	data, err := c.callControl(ctx, http.MethodGet, "/tyk/apis", nil)
	if err != nil {
		return err
	}
	var loaded []struct {
		ID string `json:"api_id"`
	}
	if err := json.Unmarshal(data, &loaded); err != nil {
		return err
	}
	for _, a := range c.APIs {
		if !slices.ContainsFunc(loaded, func(l struct {
			ID string `json:"api_id"`
		},
		) bool {
			return l.ID == a.ID
		}) {
			return fmt.Errorf("the gateway has not loaded API %s (%s)", a.ID, a.file)
		}
	}
	return nil
}

// callControl calls the gateway's control API.
func (c *Copy) callControl(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.controlURL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Tyk-Authorization", c.secret)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the gateway's control API answered %s: %s", response.Status, bytes.TrimSpace(data))
	}
	return data, err
}

// CheckAlive is an error if a program has ended.
func (c *Copy) CheckAlive() error {
	for _, p := range c.running {
		if err := p.explainError(p.Err()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Copy) onClose(stop func() error) { c.stops = append(c.stops, stop) }

// AwaitRecords waits until the plugin has written the records of the last requests: it writes them after its answers.
func (c *Copy) AwaitRecords(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for before := int64(-1); ; {
		info, err := os.Stat(filepath.Join(c.dir, gatewayOut))
		if err != nil || info.Size() == before {
			return err
		}
		before = info.Size()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// StopAll ends all programs, so that their logs are complete. The folder stays.
func (c *Copy) StopAll() error {
	var errs []error
	for _, stop := range slices.Backward(c.stops) {
		errs = append(errs, stop())
	}
	c.stops = nil
	return errors.Join(errs...)
}

// Close ends everything and removes the folder.
func (c *Copy) Close() error {
	err := c.StopAll()
	if c.dir != "" {
		err = errors.Join(err, os.RemoveAll(c.dir))
	}
	return err
}

func keysOf[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
