package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scrape"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// authorizerConfig has the shipped defaults: limits, cache, metrics, audit records in a file, and traces, of which no Check of the
// rig is sampled. Only the deadline is longer, because another program of the machine may take the processor for a time.
const authorizerConfig = `
listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}]
ops: "127.0.0.1:0"
limits: {deadline: 10s}
policies: {dirs: [{path: policies}]}
audit: {output: audit.log}
tracing: {otlp: {endpoint: "127.0.0.1:9", insecure: true}}
tls: {mode: plaintext}
trust:
`

const audience = "bench.meshpass.dev"

// authorizer is a running `meshpass serve`, with a minter for each algorithm.
type authorizer struct {
	*server
	dir     string
	minters map[string]*token.Minter
	count   int // of minted tokens
}

// startAuthorizer starts an authorizer with the shipped document and more of them, by file name.
func startAuthorizer(ctx context.Context, r Round, dir string, cpu int, more map[string]string) (*authorizer, error) {
	a := &authorizer{dir: dir, minters: map[string]*token.Minter{}}
	if err := os.MkdirAll(filepath.Join(dir, "policies"), 0o700); err != nil {
		return nil, err
	}
	config := authorizerConfig
	for _, algorithm := range keyset.Algorithms() {
		entry, err := a.addIssuer(algorithm)
		if err != nil {
			return nil, err
		}
		config += entry
	}
	found := authorizerLog
	if r.Profile != "" {
		config += "debug: \"127.0.0.1:0\"\n"
		found = authorizerDebugLog
	}
	if err := a.addFiles(config, more); err != nil {
		return nil, err
	}
	program, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return nil, err
	}
	a.server, err = startServer(ctx, process.Spec{
		Name: "meshpass", Path: program, Dir: dir, Stderr: filepath.Join(dir, "log"),
		Args: []string{"serve", "--config", "meshpass.yaml", "--drain-delay", "0s"}, Env: append([]string{"GOMEMLIMIT=230MiB"}, r.env...), // as in the shipped container
	}, cpu, found)
	return a, err
}

var (
	authorizerLog      = regexp.MustCompile(`(?s)"msg":"listening",[^\n]*"address":"([^"]+)".*"msg":"serving"`)
	authorizerDebugLog = regexp.MustCompile(`(?s)"msg":"listening",[^\n]*"address":"([^"]+)".*"msg":"debug listener","address":"([^"]+)".*"msg":"serving"`)
)

var opsLog = regexp.MustCompile(`"msg":"probes and metrics","address":"([^"]+)"`)

// countAllocations returns how many objects the program has put on its heap so far.
func (a *authorizer) countAllocations(ctx context.Context) (float64, error) {
	log, err := os.ReadFile(filepath.Join(a.dir, "log"))
	if err != nil {
		return 0, err
	}
	address := opsLog.FindSubmatch(log)
	if address == nil {
		return 0, errors.New("the authorizer has no address for metrics")
	}
	series, err := scrape.Read(ctx, http.DefaultClient, string(address[1]))
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(series["go_memstats_mallocs_total"], 64)
}

func (a *authorizer) addIssuer(algorithm string) (entry string, err error) {
	name := strings.ToLower(algorithm)
	keys, err := makeKeys(filepath.Join(a.dir, "keys-"+name), algorithm)
	if err != nil {
		return "", err
	}
	issuer := "https://" + name + ".bench.meshpass.dev"
	a.minters[algorithm], err = token.NewMinter(token.MinterConfig{
		Issuer: issuer, Audience: audience, Lifetime: token.MaxLifetime, MinRemaining: 5 * time.Second, Keys: keys,
	})
	if err != nil {
		return "", err
	}
	jwks, err := keys.JWKS(time.Now())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("  - {issuer: %q, audience: %s, jwks: {file: %s.json}, algorithms: [%s], requesters: [ns/edge/sa/tyk-gateway]}\n", issuer, audience, name, algorithm),
		os.WriteFile(filepath.Join(a.dir, name+".json"), jwks, 0o600)
}

func makeKeys(dir, algorithm string) (*keyset.SigningKeys, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	now := time.Now()
	plan := keyset.Plan{PublishAt: now, SignFrom: now, SignUntil: now.AddDate(0, 0, 1), RemoveAfter: now.AddDate(0, 0, 2)}
	if _, err := keyset.CreateKey(dir, algorithm, plan); err != nil {
		return nil, err
	}
	return keyset.LoadSigningKeys(dir)
}

func (a *authorizer) addFiles(config string, more map[string]string) error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	shipped, err := os.ReadFile(filepath.Join(root, "manifests", "policies", "orders.yaml"))
	if err != nil {
		return err
	}
	files := map[string]string{"meshpass.yaml": config, "policies/orders.yaml": string(shipped)}
	for name, text := range more {
		files["policies/"+name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newToken signs a token that no other one equals.
func (a *authorizer) newToken(algorithm string) (string, error) {
	a.count++
	raw, _, err := a.minters[algorithm].Mint(newIdentity(a.count))
	return raw, err
}

// newIdentity is that of a usual token, of 700 bytes before the signature.
func newIdentity(number int) identity.Identity {
	return identity.Identity{
		Subject: identity.Subject{Namespace: "demo", ID: fmt.Sprintf("user-%d", number)}, Scopes: []string{"orders.read"}, Requester: checks.Gateway,
		API: identity.API{ID: "orders-api", Name: "Orders"}, Org: "acme-org", Method: "jwt", Claims: map[string]any{"tenant": "acme", "plan": "gold"}, IP: "192.0.2.7",
	}
}

// newCheck is a Check as a sidecar of Istio sends it, with the headers of a usual client.
func newCheck(token string) *auth.CheckRequest {
	check := checks.New(token)
	attributes := check.GetAttributes()
	attributes.Source.Address, attributes.Destination.Address = newAddress("10.77.0.10", 40022), newAddress("10.77.0.11", 8080)
	http := attributes.GetRequest().GetHttp()
	http.Id, http.Scheme, http.Protocol, http.Host = "7251431180632351817", "http", "HTTP/1.1", "orders.shop.svc.cluster.local:8080"
	for name, value := range map[string]string{
		":authority": http.GetHost(), ":method": http.GetMethod(), ":path": http.GetPath(), ":scheme": "http",
		"accept": "*/*", "user-agent": "curl/8.5.0", "x-forwarded-proto": "http",
		"x-request-id": "5d7d0f0e-4a8c-9d3b-a3f4-0d3f6e1f2a11", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
	} {
		http.Headers[name] = value
	}
	return check
}

func newAddress(address string, port uint32) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: address, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
	}}}
}

// newMessages mints tokens and makes a Check of each.
func (a *authorizer) newMessages(algorithm string, count int) ([][]byte, error) {
	messages := make([][]byte, count)
	for i := range messages {
		raw, err := a.newToken(algorithm)
		if err != nil {
			return nil, err
		}
		if messages[i], err = frameMessage(newCheck(raw)); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// takeTurns returns each message once, and then nil.
func takeTurns(messages [][]byte) func() []byte {
	return func() (next []byte) {
		if len(messages) > 0 {
			next, messages = messages[0], messages[1:]
		}
		return next
	}
}

func alwaysSend(message []byte) func() []byte { return func() []byte { return message } }
