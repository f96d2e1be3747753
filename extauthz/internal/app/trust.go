package app

import (
	"regexp"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
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
	if !l.doc.Has("trustDomains", "local") {
		c.Local = defaultTrustDomain
	}
	l.checkTrustDomain(path{"trustDomains", "local"}, c.Local)
	for i, alias := range c.Aliases {
		l.checkTrustDomain(path{"trustDomains", "aliases", i}, alias)
	}
	return c.domains()
}

func (c trustDomainsConfig) domains() identity.TrustDomains {
	return identity.TrustDomains{Local: c.Local, Aliases: c.Aliases}
}

func (l *loader) checkTrustDomain(at path, name string) {
	if !trustDomain.MatchString(name) {
		l.refuse(at, "%q is no trust domain: write a name such as %s, without spiffe://", name, defaultTrustDomain)
	}
}

// trust reads every entry with its key set. An issuer has one entry.
func (l *loader) trust(domains identity.TrustDomains) []trust.Entry {
	l.hasEntries(path{"trust"}, len(l.config.Trust))
	var entries []trust.Entry
	seeds := map[string]bool{}
	issuers, signers := map[string]bool{}, map[string]signer{}
	for i, c := range l.config.Trust {
		at := path{"trust", i}
		if l.has(at.with("issuer"), c.Issuer) && issuers[c.Issuer] {
			l.refuse(at.with("issuer"), "a second entry for %q: give it one", c.Issuer)
		}
		if err := token.CheckIssuer(c.Issuer); err != nil && c.Issuer != "" {
			l.refuse(at.with("issuer"), "%s", err)
		}
		issuers[c.Issuer] = true
		entry := l.trustEntry(at, c, domains)
		l.checkSeed(at.with("jwks", "seed"), entry.Remote, seeds)
		entries = append(entries, entry)
	}
	l.keepKeysFrom(entries, l.takesAnothersKey)
	for i, entry := range entries {
		l.checkSigners(path{"trust", i, "jwks", "file"}, entry.Trust, signers)
	}
	return entries
}

func (l *loader) trustEntry(at path, c trustConfig, domains identity.TrustDomains) trust.Entry {
	l.setTrustDefaults(at, &c)
	l.checkAudience(at.with("audience"), c.Audience)
	l.checkAlgorithms(at.with("algorithms"), c.Algorithms)
	l.checkDuration(at.with("maxLifetime"), c.MaxLifetime, time.Second, token.MaxLifetime)
	l.checkDuration(at.with("leeway"), c.Leeway, 0, token.MaxLeeway)
	l.checkSubjects(at.with("subjects"), c.Subjects)
	from := token.Trust{
		Issuer: c.Issuer, Audience: c.Audience, Algorithms: c.Algorithms,
		MaxLifetime: c.MaxLifetime, Leeway: c.Leeway, Subjects: c.Subjects, Home: c.Home,
		Requesters: l.requesters(at.with("requesters"), c.Requesters, domains),
	}
	entry := trust.Entry{Trust: from, Publish: c.Publish}
	entry.Trust.Keys, entry.Remote = l.jwks(at.with("jwks"), c)
	return entry
}

func (l *loader) setTrustDefaults(at path, c *trustConfig) {
	if !l.doc.Has(at.with("algorithms")...) {
		c.Algorithms = []string{keyset.ES256}
	}
	if !l.doc.Has(at.with("home")...) {
		c.Home = l.doc.Has(at.with("jwks", "file")...)
	}
	if !l.doc.Has(at.with("maxLifetime")...) {
		c.MaxLifetime = token.MaxLifetime
	}
	if !l.doc.Has(at.with("leeway")...) {
		c.Leeway = token.DefaultLeeway
	}
}

func (l *loader) checkAudience(at path, audience string) {
	if !l.has(at, audience) {
		return
	}
	if err := token.CheckAudience(audience); err != nil {
		l.refuse(at, "%s", err)
	}
}

func (l *loader) checkAlgorithms(at path, algorithms []string) {
	l.hasEntriesIfPresent(at, len(algorithms))
	for i, algorithm := range algorithms {
		l.isOneOf(at.with(i), algorithm, keyset.Algorithms()...)
	}
}

func (l *loader) checkDuration(at path, d, least, most time.Duration) {
	if d < least || d > most {
		l.refuse(at, "%s is out of range: write %s to %s", d, least, most)
	}
}

func (l *loader) checkSubjects(at path, namespaces []string) {
	l.hasEntriesIfPresent(at, len(namespaces))
	for i, namespace := range namespaces {
		if token.CheckNamespace(namespace) != nil {
			l.refuse(at.with(i), "%q is no namespace: write lower-case letters, digits and -, 32 at most", namespace)
		}
	}
}

// requesters come as policies write workloads, or as whole SPIFFE ids.
func (l *loader) requesters(at path, names []string, domains identity.TrustDomains) []identity.Workload {
	l.hasEntriesIfPresent(at, len(names))
	var workloads []identity.Workload
	for i, name := range names {
		id := name
		if strings.HasPrefix(name, "ns/") {
			id = "spiffe://" + domains.Local + "/" + name
		}
		workload, err := domains.Workload(id)
		if err != nil || workload == "" {
			l.refuse(at.with(i), "%q is no workload: write ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH", name)
		}
		workloads = append(workloads, workload)
	}
	return workloads
}

// hasEntriesIfPresent: absent means any, so an empty list would mean its
// opposite to whoever wrote it.
func (l *loader) hasEntriesIfPresent(at path, length int) {
	if l.doc.Has(at...) {
		l.hasEntries(at, length)
	}
}
