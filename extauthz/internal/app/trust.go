package app

import (
	"regexp"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

type trustDomainsConfig struct {
	Local   string   `yaml:"local"`
	Aliases []string `yaml:"aliases"`
}

// trustConfig is one fleet of gateways whose tokens are believed.
type trustConfig struct {
	Issuer      string        `yaml:"issuer"`
	Audience    string        `yaml:"audience"`
	Algorithms  []string      `yaml:"algorithms"`
	JWKS        jwksConfig    `yaml:"jwks"`
	MaxLifetime time.Duration `yaml:"maxLifetime"`
	Leeway      time.Duration `yaml:"leeway"`
	Subjects    []string      `yaml:"subjects"`
	Requesters  []string      `yaml:"requesters"`
	Publish     bool          `yaml:"publish"`
	Home        bool          `yaml:"home"` // one of our own fleets; absent: true with jwks.file, false with jwks.url
}

const defaultTrustDomain = "cluster.local"

var trustDomain = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,254}$`)

func (l *loader) trustDomains() identity.TrustDomains {
	c := &l.config.TrustDomains
	if !l.check.Has(strictyaml.Path{"trustDomains", "local"}) {
		c.Local = defaultTrustDomain
	}
	l.checkTrustDomain(strictyaml.Path{"trustDomains", "local"}, c.Local)
	for i, alias := range c.Aliases {
		l.checkTrustDomain(strictyaml.Path{"trustDomains", "aliases", i}, alias)
	}
	return c.domains()
}

func (c trustDomainsConfig) domains() identity.TrustDomains {
	return identity.TrustDomains{Local: c.Local, Aliases: c.Aliases}
}

func (l *loader) checkTrustDomain(at strictyaml.Path, name string) {
	if !trustDomain.MatchString(name) {
		l.check.Reject(at, "want a trust domain such as %s, without spiffe://, not %q", defaultTrustDomain, name)
	}
}

// trust reads every entry with its key set. An issuer has one entry.
func (l *loader) trust(domains identity.TrustDomains) []trust.Entry {
	l.check.RequireEntries(strictyaml.Path{"trust"}, len(l.config.Trust))
	var entries []trust.Entry
	seeds := map[string]bool{}
	issuers, signers := map[string]bool{}, map[string]signer{}
	for i, c := range l.config.Trust {
		at := strictyaml.Path{"trust", i}
		if l.check.RequireText(at.With("issuer"), c.Issuer) && issuers[c.Issuer] {
			l.check.Reject(at.With("issuer"), "a second entry for %q: give it one", c.Issuer)
		}
		if err := token.CheckIssuer(c.Issuer); err != nil && c.Issuer != "" {
			l.check.Reject(at.With("issuer"), "%s", err)
		}
		issuers[c.Issuer] = true
		entry := l.trustEntry(at, c, domains)
		l.checkSeed(at.With("jwks", "seed"), entry.Remote, seeds)
		entries = append(entries, entry)
	}
	l.keepKeysFrom(entries, l.takesAnothersKey)
	for i, entry := range entries {
		l.checkSigners(strictyaml.Path{"trust", i, "jwks", "file"}, entry.Trust, signers)
	}
	return entries
}

func (l *loader) trustEntry(at strictyaml.Path, c trustConfig, domains identity.TrustDomains) trust.Entry {
	l.setTrustDefaults(at, &c)
	l.checkAudience(at.With("audience"), c.Audience)
	l.checkAlgorithms(at.With("algorithms"), c.Algorithms)
	strictyaml.RequireRange(l.check, at.With("maxLifetime"), c.MaxLifetime, time.Second, token.MaxLifetime)
	strictyaml.RequireRange(l.check, at.With("leeway"), c.Leeway, 0, token.MaxLeeway)
	l.checkSubjects(at.With("subjects"), c.Subjects)
	from := token.Trust{
		Issuer: c.Issuer, Audience: c.Audience, Algorithms: c.Algorithms,
		MaxLifetime: c.MaxLifetime, Leeway: c.Leeway, Home: c.Home,
		Subjects:   allowlist(c.Subjects, c.Subjects),
		Requesters: allowlist(c.Requesters, l.requesters(at.With("requesters"), c.Requesters, domains)),
	}
	entry := trust.Entry{Trust: from, Publish: c.Publish}
	entry.Trust.Keys, entry.Remote = l.jwks(at.With("jwks"), c)
	return entry
}

// allowlist returns the names of a setting. An absent setting allows every name.
func allowlist[Name ~string](setting []string, names []Name) token.Allowlist[Name] {
	if setting == nil {
		return token.Any[Name]()
	}
	return token.Only(names...)
}

func (l *loader) setTrustDefaults(at strictyaml.Path, c *trustConfig) {
	if !l.check.Has(at.With("algorithms")) {
		c.Algorithms = []string{keyset.ES256}
	}
	if !l.check.Has(at.With("home")) {
		c.Home = l.check.Has(at.With("jwks", "file"))
	}
	if !l.check.Has(at.With("maxLifetime")) {
		c.MaxLifetime = token.MaxLifetime
	}
	if !l.check.Has(at.With("leeway")) {
		c.Leeway = token.DefaultLeeway
	}
}

func (l *loader) checkAudience(at strictyaml.Path, audience string) {
	if !l.check.RequireText(at, audience) {
		return
	}
	if err := token.CheckAudience(audience); err != nil {
		l.check.Reject(at, "%s", err)
	}
}

func (l *loader) checkAlgorithms(at strictyaml.Path, algorithms []string) {
	l.check.RequireEntriesIfPresent(at, len(algorithms))
	for i, algorithm := range algorithms {
		l.check.RequireOneOf(at.With(i), algorithm, keyset.Algorithms()...)
	}
}

func (l *loader) checkSubjects(at strictyaml.Path, namespaces []string) {
	l.check.RequireEntriesIfPresent(at, len(namespaces))
	for i, namespace := range namespaces {
		if token.CheckNamespace(namespace) != nil {
			l.check.Reject(at.With(i), "want lower-case letters, digits and -, at most 32, not %q", namespace)
		}
	}
}

// requesters come as policies write workloads, or as whole SPIFFE ids.
func (l *loader) requesters(at strictyaml.Path, names []string, domains identity.TrustDomains) []identity.Workload {
	l.check.RequireEntriesIfPresent(at, len(names))
	var workloads []identity.Workload
	for i, name := range names {
		id := name
		if strings.HasPrefix(name, "ns/") {
			id = "spiffe://" + domains.Local + "/" + name
		}
		workload, err := domains.ParseWorkload(id)
		if err != nil || workload == "" {
			l.check.Reject(at.With(i), "want ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, not %q", name)
		}
		workloads = append(workloads, workload)
	}
	return workloads
}
