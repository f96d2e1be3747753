package app

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/debugserver"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/extauthz/internal/tracing"
	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// Process is what the authorizer gets from its surroundings.
type Process struct {
	ConfigFile string
	Strict     bool                  // a change of policies is active as a whole or not at all, at the start too
	Stdout     io.Writer             // audit records, unless the configuration names a file
	Log        *slog.Logger          // must not block: Checks log
	LogStats   func() logqueue.Stats // of the lines of Log; nil: they are not counted
	LogLevel   *debugserver.Level    // of Log, which the debug listener changes; nil: it stays as it is
	Hangup     <-chan os.Signal      // at each, the audit file is opened again; nil: never
	Now        func() time.Time
	Poll       time.Duration // how often files are looked at; 0: once a second
	DrainDelay time.Duration // from "not ready" to the end of listening, where ops is configured
	Drain      time.Duration // how long open Checks may take to end at a stop
}

// authorizer is a configuration without a mistake, with all that its files hold.
type authorizer struct {
	process  Process
	config   config
	settings settings
	limiter  *limits.Limiter
	metrics  *ops.Metrics
	changes  *changeLog
	audit    auditTrail
	chain    *audit.Chain    // of audit records; nil: not configured
	tracer   *tracing.Tracer // nil: no spans

	certificates *reload.Value[*transport.Material] // nil: the authorizer ends no TLS
	services     serviceTables
	revoked      *revokedTokens
	registry     *trust.Registry
	trust        *trustFollower
	policies     *activePolicies
}

// loadAuthorizer reads the configuration and all files that it names, asks Redis, and opens the output of
// audit records. All that is wrong comes back together.
func loadAuthorizer(p Process) (*authorizer, error) {
	file, err := readConfig(p.ConfigFile)
	if err != nil {
		return nil, err
	}
	a := loadConfigured(p, file)
	a.revoked.askRedis(file.check)
	a.tracer = file.config.Tracing.newTracer(file.check, p.Log)
	var output io.Writer
	if file.check.Err() == nil { // a rejected configuration makes no file
		output = file.config.Audit.openOutput(file.check, p.Stdout)
	}
	if err := file.check.Err(); err != nil {
		closeTracer(a.tracer, p.Log)
		closeOutput(output)
		return nil, err
	}
	a.audit = newAuditTrail(file.config.Audit, a.chain, output, p.Log, p.Now)
	a.policies.combine()
	return a, nil
}

// loadConfigured checks a configuration and loads all files that it names. It has no effect: it opens no
// address and no connection, and writes nothing. Problems are in the file's checker.
func loadConfigured(p Process, file *configFile) *authorizer {
	a := newAuthorizer(p, file, checkConfig(file))
	a.loadFiles(file)
	return a
}

// newAuthorizer makes the parts that need no file but the configuration.
func newAuthorizer(p Process, file *configFile, s settings) *authorizer {
	c := file.config
	a := &authorizer{
		process: p, config: c, settings: s,
		limiter: limits.New(c.Limits.ofProcess(), p.Log),
		metrics: ops.NewMetrics(),
	}
	a.changes = &changeLog{log: p.Log, metrics: a.metrics}
	a.revoked = &revokedTokens{now: p.Now, changes: a.changes, issuers: a.issuerNames}
	a.policies = &activePolicies{domains: s.domains, unguarded: c.Policies.unguardedMode(), strict: p.Strict, now: p.Now, changes: a.changes}
	return a
}

// loadFiles loads what the files hold now. Each step uses what the steps above it have loaded: a
// verifier needs the lists of revocations, and documents depend on whether an entry of trust is home.
func (a *authorizer) loadFiles(file *configFile) {
	c, check := a.config, file.check
	a.certificates = loadCertificates(check, c.TLS, a.process.Now, a.changes)
	a.services = loadServices(check, c.Listeners, a.changes)
	a.revoked.loadFile(check, c.Revocation)
	a.revoked.openRedis(check, c.Revocation.Redis, c.Insecure)
	a.registry = newRegistry(c, a.settings.domains, a.revoked.checker(c.Revocation), a.process)
	a.trust = &trustFollower{started: file, domains: a.settings.domains, registry: a.registry, changes: a.changes, applied: a.trustChanged}
	a.trust.loadSection(check)
	a.policies.noHome.Store(!hasHome(a.trust.issuers.Get().entries))
	a.policies.loadAllowedHeaders(check, c.Envoy)
	a.policies.loadDocuments(check, a.settings.folders)
	a.policies.loadOverrides(check, c.Policies.Overrides)
	c.Audit.checkOutput(check)
	a.chain = c.Audit.Chain.Load(check)
}

func newRegistry(c config, domains identity.TrustDomains, revoked revocation.Checker, p Process) *trust.Registry {
	return trust.New(trust.Config{Domains: domains, Log: p.Log, Now: p.Now, Options: token.Options{
		MaxBytes: c.Limits.TokenBytes, AllowTest: c.Insecure.AllowTestTokens,
		Revocations: revoked, Cache: c.Cache.VerifiedTokens.newCache(),
	}})
}

// shutDown ends what loadAuthorizer has started.
func (a *authorizer) shutDown() {
	a.registry.Close()
	closeTracer(a.tracer, a.process.Log)
	a.audit.close()
}

// newCheckServers makes the ext_authz service of each listener.
func (a *authorizer) newCheckServers() ([]*check.Server, error) {
	var servers []*check.Server
	for i, listener := range a.config.Listeners {
		server, err := check.New(check.Config{
			Decide: decide.Config{
				Listener: listener.Name, TokenFailure: listener.TokenFailure,
				Peers:    listener.peers(a.settings.domains, a.services[listener.Name]),
				Verifier: a.registry.Verifier, Policies: a.policies.set.Load, IdentityHeaders: a.settings.headers,
				Audit: a.audit.records, Meter: a.metrics.Listener(listener.Name), Log: a.process.Log, Now: a.process.Now,
			},
			Admit: a.settings.admissions[i].check, Limiter: a.limiter, StartSpan: a.startSpan(),
		})
		if err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	return servers, nil
}

// startSpan is nil without a collector of spans.
func (a *authorizer) startSpan() func(context.Context, string) (context.Context, func()) {
	if a.tracer == nil {
		return nil
	}
	return a.tracer.StartSpan
}

// issuerNames are the issuers that are trusted now; nil: not known yet.
func (a *authorizer) issuerNames() (names []string) {
	if a.registry == nil || a.registry.Verifier() == nil {
		return nil
	}
	names = []string{}
	for _, i := range a.registry.Issuers() {
		names = append(names, i.Name)
	}
	return names
}

func (a *authorizer) trustChanged(entries []trust.Entry) {
	weakTrust(entries).log(a.process.Log)
	uselessKeys(entries).log(a.process.Log)
	a.revoked.warnUnknownIssuers()
	a.policies.homeChanged(hasHome(entries))
}

// sources are all that is followed while the process runs.
func (a *authorizer) sources() map[string]source {
	all := map[string]source{
		configSource: sectionSource{a.trust.section}, jwksSource: issuersSource{a.trust.issuers},
		policiesSource: documentsSource{a.policies.documents},
	}
	if a.policies.overrides != nil {
		all[overridesSource] = a.policies.overrides
	}
	if a.policies.allowedHeaders != nil {
		all[headersSource] = a.policies.allowedHeaders
	}
	if a.revoked.file != nil {
		all[revocationsSource] = a.revoked.file
	}
	if a.revoked.redis != nil {
		all[redisSource] = a.revoked.redis
	}
	if a.certificates != nil {
		all[tlsSource] = a.certificates
	}
	for listener, table := range a.services {
		all[servicesSource+listener] = table
	}
	return all
}

// opsSources are the sources for metrics and readiness.
func (a *authorizer) opsSources() ops.Sources {
	all := ops.Sources{}
	for name, source := range a.sources() {
		all[name] = source
	}
	return all
}

// statusReport is the answer of /status, made when it is asked for.
func (a *authorizer) statusReport(state string) status.Report {
	trail := a.audit.status()
	report := status.Report{
		State: state, Policies: a.policies.status(), Issuers: a.issuersStatus(), Sources: a.sourcesStatus(),
		Revocations: a.revoked.status(), Audit: &trail, Tracing: a.tracingStatus(),
	}
	if a.process.LogLevel != nil {
		report.LogLevel = a.process.LogLevel.Describe()
	}
	return report
}

func (a *authorizer) sourcesStatus() (all []status.Source) {
	sources := a.sources()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		source := status.Source{Name: name, Since: sources[name].Since(), Looked: sources[name].Looked()}
		if err := sources[name].Err(); err != nil {
			source.Problems = strings.Split(err.Error(), "\n")
		}
		if ops.Hangs(sources[name], a.process.Now()) {
			source.Problems = append(source.Problems, ops.HangsMessage)
		}
		all = append(all, source)
	}
	return all
}

func (a *authorizer) issuersStatus() []status.Issuer {
	var all []status.Issuer
	for _, i := range a.registry.Issuers() {
		issuer := status.Issuer{Name: i.Name, Keys: i.Keys, KeyIDs: i.KeyIDs, Skipped: i.Skipped, Fetched: i.Fetched, Until: i.Until}
		if i.Err != nil {
			issuer.Problem = i.Err.Error()
		}
		if i.Conflict != nil {
			issuer.Conflict = i.Conflict.Error()
		}
		all = append(all, issuer)
	}
	return all
}
