package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// peer is another ext_authz server. It verifies the signature, the issuer, the audience and the algorithm of the same tokens, and
// compares the scope and the tenant as the shipped document does. It does not compare callers, and writes no records.
type peer struct {
	name  string // of the program in bin/peers, and of the rows
	args  []string
	files func(peerAddresses) map[string]string // that it reads, by name
}

type peerAddresses struct {
	port, other, last int    // that are free; a program uses as many as it needs
	jwks              string // URL of the keys
	keys              string // the keys themselves
}

var peers = []peer{
	{name: "heimdall", args: []string{"serve", "decision", "--envoy-grpc", "-c", "heimdall.yaml", "--insecure"}, files: writeHeimdallFiles},
	{name: "opa-envoy-plugin", args: []string{"run", "--server", "--config-file=opa.yaml", "--log-level=error", "--disable-telemetry", "policy.rego", "keys.json"}, files: writeOPAFiles},
}

func writeHeimdallFiles(a peerAddresses) map[string]string {
	return map[string]string{
		"heimdall.yaml": fmt.Sprintf(`
log: {level: error, access_log_enabled: false}
tracing: {enabled: false}
metrics: {enabled: false}
serve: {host: 127.0.0.1, port: %d}
management: {host: 127.0.0.1, port: %d}
mechanisms:
  authenticators:
    - {id: deny, type: unauthorized}
    - id: jwt
      type: jwt
      config:
        jwks_endpoint: {url: %q}
        jwt_source: [{header: %s}]
        assertions: {issuers: [%q], audience: [%s], scopes: [orders.read], allowed_algorithms: [ES256]}
  authorizers:
    - id: tenant
      type: cel
      config: {expressions: [{expression: 'Subject.Attributes.tctx.tenant == Request.URL.Captures.tenant'}]}
  finalizers: [{id: noop, type: noop}]
default_rule: {execute: [{authenticator: deny}]}
providers: {file_system: {src: rules.yaml}}
`, a.port, a.other, a.jwks, identity.Header, peerIssuer, audience),
		"rules.yaml": `
version: "1alpha4"
rules:
  - id: read-own-tenant
    match: {routes: [{path: "/tenants/:tenant/orders/:order"}], methods: [GET]}
    execute: [{authenticator: jwt}, {authorizer: tenant}, {finalizer: noop}]
`,
	}
}

func writeOPAFiles(a peerAddresses) map[string]string {
	return map[string]string{
		"opa.yaml": fmt.Sprintf("plugins: {envoy_ext_authz_grpc: {addr: \"127.0.0.1:%d\", path: envoy/authz/allow}}\naddr: 127.0.0.1:%d\ndiagnostic-addr: 127.0.0.1:%d\n", a.port, a.other, a.last),
		"policy.rego": fmt.Sprintf(`package envoy.authz

default allow := false

allow if {
	[ok, _, claims] := io.jwt.decode_verify(input.attributes.request.http.headers[%q], {"cert": data.jwks, "iss": %q, "aud": %q, "alg": "ES256"})
	ok
	"orders.read" in split(claims.scope, " ")
	["tenants", claims.tctx.tenant, "orders", _] = input.parsed_path
	input.attributes.request.http.method == "GET"
}
`, strings.ToLower(identity.Header), peerIssuer, audience),
		"keys.json": fmt.Sprintf(`{"jwks": %q}`, a.keys),
	}
}

const peerIssuer = "https://es256." + audience

// peerRig has an authorizer, and beside it the other servers that are built.
type peerRig struct {
	checkRig
	servers map[string]*server // by the name of the peer
	keys    net.Listener       // serves the keys
}

// newPeerGroup compares Checks of other projects with those of a server that allows everything.
func newPeerGroup() Group {
	rig := &peerRig{}
	g := Group{Name: "peer", Peers: true, Start: rig.start, Rows: []Row{
		{Name: "allow-all", Unit: cpuMicros, Measure: rig.measureAllowAll},
		{Name: "meshpass-remembered", Unit: cpuMicros, Measure: rig.measureRemembered, Base: []string{"allow-all"}},
		{Name: "meshpass-fresh-es256", Unit: cpuMicros, Measure: rig.measureFresh(keyset.ES256), Base: []string{"allow-all"}},
	}}
	for _, p := range peers {
		if _, err := findPeer(p.name); err != nil {
			g.NotRun = append(g.NotRun, fmt.Sprintf("peer/%s: %v", p.name, err))
			continue
		}
		g.Rows = append(g.Rows,
			Row{Name: p.name + "-same-token", Unit: cpuMicros, Measure: rig.measurePeer(p, false), Base: []string{"allow-all"}},
			Row{Name: p.name + "-fresh-es256", Unit: cpuMicros, Measure: rig.measurePeer(p, true), Base: []string{"allow-all"}},
		)
	}
	return g
}

func findPeer(name string) (program string, err error) {
	return repo.Bin(filepath.Join("peers", name), "peers")
}

func (p *peerRig) start(ctx context.Context, r Round) (end func() error, err error) {
	*p = peerRig{servers: map[string]*server{}}
	endChecks, err := p.checkRig.start(ctx, r)
	if endChecks == nil || err != nil {
		return endChecks, err
	}
	end = func() error { return errors.Join(p.endPeers(), endChecks()) }
	if p.keys, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return end, err
	}
	keys, err := os.ReadFile(filepath.Join(p.dir, "es256.json"))
	if err != nil {
		return end, err
	}
	go func() { // ends with the listener
		_ = http.Serve(p.keys, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(keys) // a peer without keys answers no Check
		}))
	}()
	for _, other := range peers {
		program, err := findPeer(other.name)
		if err != nil {
			continue // listed as not run
		}
		if err := p.startPeer(ctx, other, program, string(keys)); err != nil {
			return end, fmt.Errorf("%s: %w", other.name, err)
		}
	}
	return end, nil
}

func (p *peerRig) startPeer(ctx context.Context, other peer, program, keys string) error {
	dir := filepath.Join(p.dir, other.name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	addresses := peerAddresses{jwks: "http://" + p.keys.Addr().String() + "/", keys: keys}
	var err error
	if addresses.port, addresses.other, err = findFreePorts(); err != nil {
		return err
	}
	if addresses.last, _, err = findFreePorts(); err != nil {
		return err
	}
	for name, text := range other.files(addresses) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	log := filepath.Join(dir, "log")
	s := &server{name: other.name, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(addresses.port))}
	if s.process, err = process.Start(process.Spec{
		Name: other.name, Path: program, Args: other.args, Dir: dir, Stdout: log, Stderr: log, Pinned: true, CPU: p.cores.server,
	}); err != nil {
		return err
	}
	p.servers[other.name] = s
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// It is ready when it allows a Check: a program can listen before it has rules.
	if err := s.process.AwaitReady(ctx, func(context.Context) error { return p.tryPeer(s) }); err != nil {
		return errors.Join(err, errors.New(lastLines(log)))
	}
	for range connections {
		c, err := newClient(s.address)
		if err != nil {
			return err
		}
		s.clients = append(s.clients, c)
	}
	return nil
}

func (p *peerRig) tryPeer(s *server) error {
	message, err := p.rememberedCheck()
	if err != nil {
		return err
	}
	c, err := newClient(s.address)
	if err != nil {
		return err
	}
	_, err = c.runClosed(1, time.Now(), alwaysSend(message))
	return errors.Join(err, c.close())
}

func (p *peerRig) endPeers() (err error) {
	for _, s := range p.servers {
		err = errors.Join(err, s.close())
	}
	if p.keys != nil {
		err = errors.Join(err, p.keys.Close())
	}
	return err
}

// measurePeer sends the same token again and again, or each one once.
func (p *peerRig) measurePeer(other peer, fresh bool) func(context.Context, Round) (float64, error) {
	return func(_ context.Context, r Round) (float64, error) {
		s := p.servers[other.name]
		if !fresh {
			return measureCPU(func() (answered, error) { return p.loadRemembered(s, r.Length, inFlightCPU) })
		}
		messages, err := p.authorizer.newMessages(keyset.ES256, int(freshRates[keyset.ES256]*r.Length.Seconds()))
		if err != nil {
			return 0, err
		}
		return measureCPU(func() (answered, error) { return s.load(r.Length, inFlightCPU, takeTurns(messages)) })
	}
}
