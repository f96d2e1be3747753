package flood

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// config has the shipped limits, TLS mode and audit. The parameters are the source of callers and the key set.
const config = `
listeners: [{name: flooded, grpc: "127.0.0.1:0", caller: %s, callee: principal, clients: [ns/shop/sa/*]}]
ops: "127.0.0.1:0"
debug: "127.0.0.1:0"
tls: {mode: mtls, certFile: cert.pem, keyFile: key.pem, clientCAFile: root.pem, clients: [ns/shop/sa/*]}
trust:
  - {issuer: "` + issuer + `", audience: ` + audience + `, jwks: %s, requesters: [ns/edge/sa/tyk-gateway]}
policies: {dirs: [{path: policies}]}
audit: {output: stdout}
`

const (
	issuer   = "https://tyk.demo.meshpass.dev"
	audience = "demo.meshpass.dev"

	// serverName is the DNS name in the authorizer's certificate.
	serverName = "meshpass.meshpass.svc"

	// cacheMemory is the default of cache.verifiedTokens.
	cacheMemory = 64 << 20
)

// setup is how an authorizer differs from the shipped one.
type setup struct {
	caller    string // source of callers; empty: principal
	keysByURL bool   // the key set is fetched from a server of the rig
	patient   bool   // a Check has much time, however busy the machine is
	documents int    // more policy documents
}

// authorizer is a running `meshpass serve`, with what is needed to ask it.
type authorizer struct {
	process           *process.Proc
	container         container
	dir               string
	grpc, ops, debug  string // addresses
	memory            limitSum
	peak              int64 // highest resident memory so far
	watcher, profiler *http.Client
	keySet            *http.Server
	authority         *sds.Authority
	minter            *token.Minter
	client            credentials.TransportCredentials
	started           time.Duration // until the authorizer was ready

	mu       sync.Mutex
	token    string // valid
	signedAt time.Time
}

// limitSum is the authorizer's own sum of what it and its peers can fill, in bytes.
type limitSum struct{ process, peers int64 }

func startAuthorizer(ctx context.Context, s setup) (_ *authorizer, err error) {
	// One connection stays open for metrics, as with Prometheus. Profiles leave no connection.
	a := &authorizer{watcher: &http.Client{Transport: &http.Transport{}}, profiler: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	if a.dir, err = os.MkdirTemp("", "meshpass-flood-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if err := a.writeFiles(s); err != nil {
		return nil, err
	}
	program, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return nil, err
	}
	a.container = newContainer(filepath.Base(a.dir))
	spec := process.Spec{Name: "meshpass", Stderr: filepath.Join(a.dir, "log"), Dir: a.dir}
	spec.Path, spec.Args, spec.Env = a.container.command(program, []string{"serve", "--config", filepath.Join(a.dir, "meshpass.yaml"), "--drain-delay", "0s"})
	began := time.Now()
	if a.process, err = process.Start(spec); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = a.process.AwaitReady(ctx, func(context.Context) error { return a.readAddresses() })
	a.started = time.Since(began)
	return a, err
}

var startLog = regexp.MustCompile(`(?s)"msg":"memory at most","process":(\d+),"peers":(\d+).*` +
	`"msg":"listening",[^\n]*"address":"([^"]+)".*"msg":"probes and metrics","address":"([^"]+)".*` +
	`"msg":"debug listener","address":"([^"]+)".*"msg":"serving"`)

// readAddresses reads what the log has once Checks are answered.
func (a *authorizer) readAddresses() error {
	log, err := os.ReadFile(filepath.Join(a.dir, "log"))
	if err != nil {
		return err
	}
	found := startLog.FindSubmatch(log)
	if found == nil {
		return errors.New("it does not serve yet")
	}
	a.memory.process, _ = strconv.ParseInt(string(found[1]), 10, 64) // digits
	a.memory.peers, _ = strconv.ParseInt(string(found[2]), 10, 64)   // digits
	a.grpc, a.ops, a.debug = string(found[3]), string(found[4]), string(found[5])
	return nil
}

func (a *authorizer) writeFiles(s setup) error {
	keys, err := a.makeKeys()
	if err != nil {
		return err
	}
	jwks, err := keys.JWKS(time.Now())
	if err != nil {
		return err
	}
	files := map[string][]byte{"jwks.json": jwks}
	if err := addPolicies(files, s.documents); err != nil {
		return err
	}
	if err := a.addCertificates(files); err != nil {
		return err
	}
	keySet, more := "{file: jwks.json}", ""
	if s.keysByURL {
		url, err := a.serveKeySet(jwks)
		if err != nil {
			return err
		}
		keySet, more = fmt.Sprintf("{url: %q}", url), "insecure: {jwksOverHTTP: true}\n"
	}
	if s.patient {
		more += "limits: {deadline: 10s}\n"
	}
	caller := "principal"
	if s.caller != "" {
		caller = s.caller
	}
	files["meshpass.yaml"] = fmt.Appendf(nil, config+more, caller, keySet)
	for name, data := range files {
		name = filepath.Join(a.dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (a *authorizer) makeKeys() (*keyset.SigningKeys, error) {
	dir, now := filepath.Join(a.dir, "keys"), time.Now()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	plan := keyset.Plan{PublishAt: now, SignFrom: now, SignUntil: now.AddDate(0, 0, 1), RemoveAfter: now.AddDate(0, 0, 2)}
	if _, err := keyset.CreateKey(dir, keyset.ES256, plan); err != nil {
		return nil, err
	}
	keys, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		return nil, err
	}
	a.minter, err = token.NewMinter(token.MinterConfig{
		Issuer: issuer, Audience: audience, Lifetime: token.MaxLifetime, MinRemaining: 5 * time.Second, Keys: keys,
	})
	return keys, err
}

// addPolicies adds the shipped document, and copies of it for other workloads.
func addPolicies(files map[string][]byte, copies int) error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	shipped, err := os.ReadFile(filepath.Join(root, "manifests", "policies", "orders.yaml"))
	if err != nil {
		return err
	}
	files["policies/orders.yaml"] = shipped
	for i := range copies {
		name := fmt.Sprintf("copy-%d", i)
		files["policies/"+name+".yaml"] = []byte(strings.NewReplacer("{name: orders}", "{name: "+name+"}", "sa/orders", "sa/"+name).Replace(string(shipped)))
	}
	return nil
}

// addCertificates adds those of the authorizer, and makes that of its client.
func (a *authorizer) addCertificates(files map[string][]byte) (err error) {
	if a.authority, err = sds.NewAuthority(); err != nil {
		return err
	}
	own, err := issue(a.authority, "dns:"+serverName)
	if err != nil {
		return err
	}
	files["cert.pem"], files["key.pem"], files["root.pem"] = own.Cert, own.Key, a.authority.RootPEM()
	config, err := a.clientTLS(a.authority)
	a.client = credentials.NewTLS(config)
	return err
}

func issue(authority *sds.Authority, name string) (sds.Pair, error) {
	names, err := sds.ParseNames(name)
	if err != nil {
		return sds.Pair{}, err
	}
	return authority.Issue(names)
}

// clientTLS is the client side of an Envoy, whose certificate an authority has signed.
func (a *authorizer) clientTLS(authority *sds.Authority) (*tls.Config, error) {
	pair, err := issue(authority, checks.Orders)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.authority.RootPEM())
	return &tls.Config{RootCAs: roots, ServerName: serverName, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}}, nil
}

// connect makes a connection for Checks. It is opened with the first one.
func (a *authorizer) connect() (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+a.grpc, grpc.WithTransportCredentials(a.client))
}

// answerTime bounds one Check. The authorizer itself answers within limits.deadline.
const answerTime = 10 * time.Second

// noAnswer begins the outcome of a Check that got no answer.
const noAnswer = "no answer: "

// ask returns "allow", the status and the reason of a denial, or noAnswer with gRPC's code.
func ask(ctx context.Context, conn *grpc.ClientConn, check *auth.CheckRequest) string {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answer, err := auth.NewAuthorizationClient(conn).Check(ctx, check, grpc.WaitForReady(true))
	if err != nil {
		return noAnswer + status.Code(err).String()
	}
	return checks.AnswerText(answer)
}

// warmUp asks once, so that what is made once for all Checks is part of the idle figures.
func (a *authorizer) warmUp(ctx context.Context) error {
	conn, err := a.connect()
	if err != nil {
		return err
	}
	valid, err := a.validToken()
	if err != nil {
		return err
	}
	check := checks.New(valid)
	check.Attributes.Request.Http.Headers["x-forwarded-client-cert"] = "By=" + checks.Orders + ";URI=" + checks.Gateway
	if got := ask(ctx, conn, check); got != "allow" {
		return fmt.Errorf("the first Check got %s", got)
	}
	return conn.Close()
}

// tokenAge is when a token that many Checks share is replaced.
const tokenAge = time.Minute

// validToken returns a token that stays the same for tokenAge.
func (a *authorizer) validToken() (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token != "" && time.Since(a.signedAt) < tokenAge {
		return a.token, nil
	}
	raw, err := a.newToken("alice", nil)
	a.token, a.signedAt = raw, time.Now()
	return raw, err
}

// close ends the program, and removes its files unless it ended by itself: then the log has the cause.
func (a *authorizer) close() error {
	var errs []error
	failed := false
	if a.process != nil {
		if err := a.process.Err(); err != nil {
			failed, errs = true, append(errs, err)
		}
		errs = append(errs, a.process.Stop())
	}
	a.watcher.CloseIdleConnections()
	if a.keySet != nil {
		errs = append(errs, a.keySet.Close())
	}
	errs = append(errs, a.container.remove())
	if !failed {
		errs = append(errs, os.RemoveAll(a.dir))
	}
	return errors.Join(errs...)
}
