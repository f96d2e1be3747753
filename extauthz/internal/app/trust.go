package app

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

type trustDomainsConfig struct {
	Local   string   `yaml:"local"`
	Aliases []string `yaml:"aliases"`
}

const defaultTrustDomain = "cluster.local"

func (c *trustDomainsConfig) setDefaults(file *strictyaml.Checker) {
	if !file.Has(strictyaml.Path{"trustDomains", "local"}) {
		c.Local = defaultTrustDomain
	}
}

func (c trustDomainsConfig) check(file *strictyaml.Checker) {
	requireTrustDomain(file, strictyaml.Path{"trustDomains", "local"}, c.Local)
	aliases := strictyaml.Path{"trustDomains", "aliases"}
	for i, alias := range c.Aliases {
		requireTrustDomain(file, aliases.With(i), alias)
		if alias == c.Local {
			file.Reject(aliases.With(i), "%s is trustDomains.local itself: remove it", alias)
		}
	}
	file.RequireDistinct(aliases, c.Aliases)
}

var trustDomain = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,254}$`)

func requireTrustDomain(file *strictyaml.Checker, at strictyaml.Path, name string) {
	if !trustDomain.MatchString(name) {
		file.Reject(at, "want a trust domain such as %s, without spiffe://, not %q", defaultTrustDomain, name)
	}
}

func (c trustDomainsConfig) parsedDomains() identity.TrustDomains {
	return identity.TrustDomains{Local: c.Local, Aliases: c.Aliases}
}

// trustConfig is one fleet of gateways whose tokens are trusted.
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
	Home        bool          `yaml:"home"` // one of our own fleets; default: true with jwks.file, false with jwks.url
}

// jwksConfig is the place of the public keys of a fleet: a file, or a URL with its
// settings.
type jwksConfig struct {
	File     string        `yaml:"file" env:"expand"`
	URL      string        `yaml:"url" env:"expand"`
	CAFile   string        `yaml:"caFile" env:"expand"`
	Refresh  time.Duration `yaml:"refresh"`
	MaxStale time.Duration `yaml:"maxStale"`
	Seed     string        `yaml:"seed" env:"expand"`
}

const (
	defaultRefresh  = 5 * time.Minute
	minRefresh      = time.Second
	maxRefresh      = 24 * time.Hour
	defaultMaxStale = 24 * time.Hour
	maxMaxStale     = 7 * 24 * time.Hour
)

func (c *trustConfig) setDefaults(file *strictyaml.Checker, at strictyaml.Path) {
	if !file.Has(at.With("algorithms")) {
		c.Algorithms = []string{keyset.ES256, keyset.EdDSA}
	}
	if !file.Has(at.With("home")) {
		c.Home = file.Has(at.With("jwks", "file"))
	}
	if !file.Has(at.With("maxLifetime")) {
		c.MaxLifetime = token.MaxLifetime
	}
	if !file.Has(at.With("leeway")) {
		c.Leeway = token.DefaultLeeway
	}
	if !file.Has(at.With("jwks", "url")) {
		return
	}
	if !file.Has(at.With("jwks", "refresh")) {
		c.JWKS.Refresh = defaultRefresh
	}
	if !file.Has(at.With("jwks", "maxStale")) {
		c.JWKS.MaxStale = defaultMaxStale
	}
}

// parseTrust checks the section and returns its entries, without the keys of key files. An issuer
// has one entry.
func parseTrust(file *strictyaml.Checker, all []trustConfig, domains identity.TrustDomains, insecure insecureConfig) []trust.Entry {
	file.RequireEntries(strictyaml.Path{"trust"}, len(all))
	var entries []trust.Entry
	issuers, seeds := map[string]bool{}, map[string]bool{}
	for i, c := range all {
		at := strictyaml.Path{"trust", i}
		requireOwnIssuer(file, at.With("issuer"), c.Issuer, issuers)
		entry := trust.Entry{Trust: c.parseClaims(file, at, domains), Publish: c.Publish}
		entry.Remote = c.JWKS.parse(file, at.With("jwks"), c.Issuer, insecure)
		if entry.Remote != nil {
			requireOwnSeed(file, at.With("jwks", "seed"), entry.Remote.Seed, seeds)
		}
		entries = append(entries, entry)
	}
	return entries
}

func requireOwnIssuer(file *strictyaml.Checker, at strictyaml.Path, issuer string, seen map[string]bool) {
	if file.RequireText(at, issuer) && seen[issuer] {
		file.Reject(at, "a second entry for %q: give it one", issuer)
	}
	if err := token.CheckIssuer(issuer); err != nil && issuer != "" {
		file.Reject(at, "%s", err)
	}
	seen[issuer] = true
}

// requireOwnSeed: a file that two sources write would hold the key set of neither after a restart.
func requireOwnSeed(file *strictyaml.Checker, at strictyaml.Path, seed string, seen map[string]bool) {
	if seed == "" {
		return
	}
	if seen[seed] {
		file.Reject(at, "another entry has the same seed file: give each its own")
	}
	seen[seed] = true
}

// checkTrustWithRest finds settings of other sections that do not fit the trust section. A start rejects
// them. A change of a process that runs becomes active all the same, because it may remove an issuer; a
// restart could not use the file.
func checkTrustWithRest(file *strictyaml.Checker, written config) {
	if file.ErrOfShape() != nil { // the rest may be what could not be read
		return
	}
	checkJWKSOverHTTP(file, written)
	for i, entry := range written.Trust {
		if entry.Publish && written.Ops == "" {
			file.Reject(strictyaml.Path{"trust", i, "publish"}, "keys are served at the address of ops, and there is none: write ops: IP:PORT, or remove publish")
		}
	}
}

// parseClaims returns the rules for the claims of an entry's tokens.
func (c trustConfig) parseClaims(file *strictyaml.Checker, at strictyaml.Path, domains identity.TrustDomains) token.Trust {
	if file.RequireText(at.With("audience"), c.Audience) {
		file.RejectError(at.With("audience"), token.CheckAudience(c.Audience))
	}
	file.RequireEntriesIfPresent(at.With("algorithms"), len(c.Algorithms))
	for i, algorithm := range c.Algorithms {
		file.RequireOneOf(at.With("algorithms", i), algorithm, keyset.Algorithms()...)
	}
	for key, list := range map[string][]string{"algorithms": c.Algorithms, "subjects": c.Subjects, "requesters": c.Requesters} {
		file.RequireDistinct(at.With(key), list)
	}
	strictyaml.RequireRange(file, at.With("maxLifetime"), c.MaxLifetime, time.Second, token.MaxLifetime)
	strictyaml.RequireRange(file, at.With("leeway"), c.Leeway, 0, token.MaxLeeway)
	file.RequireEntriesIfPresent(at.With("subjects"), len(c.Subjects))
	for i, namespace := range c.Subjects {
		if token.CheckNamespace(namespace) != nil {
			file.Reject(at.With("subjects", i), "want lower-case letters, digits and -, at most 32, not %q", namespace)
		}
	}
	return token.Trust{
		Issuer: c.Issuer, Audience: c.Audience, Algorithms: c.Algorithms,
		MaxLifetime: c.MaxLifetime, Leeway: c.Leeway, Home: c.Home,
		Subjects:   newAllowlist(c.Subjects, c.Subjects),
		Requesters: newAllowlist(c.Requesters, parseRequesters(file, at.With("requesters"), c.Requesters, domains)),
	}
}

// newAllowlist returns the names of a setting. An absent setting allows every name.
func newAllowlist[Name ~string](setting []string, names []Name) token.Allowlist[Name] {
	if setting == nil {
		return token.Any[Name]()
	}
	return token.Only(names...)
}

// parseRequesters reads names of workloads as policies write them, or whole SPIFFE ids.
func parseRequesters(file *strictyaml.Checker, at strictyaml.Path, names []string, domains identity.TrustDomains) []identity.Workload {
	file.RequireEntriesIfPresent(at, len(names))
	var workloads []identity.Workload
	for i, name := range names {
		id := name
		if strings.HasPrefix(name, "ns/") {
			id = "spiffe://" + domains.Local + "/" + name
		}
		workload, err := domains.ParseWorkload(id)
		if err != nil || workload == "" {
			file.Reject(at.With(i), "want ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, not %q", name)
		}
		workloads = append(workloads, workload)
	}
	return workloads
}

// parse returns how the key set at a URL is followed; nil: the keys are in a file.
func (c jwksConfig) parse(file *strictyaml.Checker, at strictyaml.Path, issuer string, insecure insecureConfig) *jwks.Config {
	if !file.Has(at.With("url")) {
		for _, key := range []string{"caFile", "refresh", "maxStale", "seed"} {
			file.RejectIfPresent(at.With(key), "belongs to url, and there is none")
		}
		file.RequireText(at.With("file"), c.File)
		return nil
	}
	file.RejectIfPresent(at.With("file"), "file and url: name one of them")
	if file.RequireText(at.With("url"), c.URL) {
		file.RejectError(at.With("url"), jwks.CheckURL(c.URL, insecure.JWKSOverHTTP))
	}
	strictyaml.RequireRange(file, at.With("refresh"), c.Refresh, minRefresh, maxRefresh)
	strictyaml.RequireRange(file, at.With("maxStale"), c.MaxStale, max(c.Refresh, minRefresh), maxMaxStale)
	remote := &jwks.Config{Issuer: issuer, URL: c.URL, Refresh: c.Refresh, MaxStale: c.MaxStale}
	if ca := at.With("caFile"); file.Has(ca) && file.RequireText(ca, c.CAFile) {
		remote.CAFile = file.ResolvePath(c.CAFile)
		if _, err := transport.Roots(remote.CAFile); isPlainHTTP(c.URL) {
			file.Reject(ca, "a URL with http has no certificate to check: remove it, or write https")
		} else {
			file.RejectError(ca, err)
		}
	}
	if seed := at.With("seed"); file.Has(seed) && file.RequireText(seed, c.Seed) {
		remote.Seed = file.ResolvePath(c.Seed)
		if file.RequireDir(seed, filepath.Dir(remote.Seed)) {
			file.RejectError(seed, checkSeedFile(remote.Seed))
		}
	}
	return remote
}

// checkSeedFile rejects a seed that others may write: with it they could sign for the issuer.
func checkSeedFile(path string) error {
	if err := secretfile.CheckFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if err := secretfile.CheckFile(path, secretfile.Trusted); errors.Is(err, secretfile.ErrOpen) {
		return err
	}
	return nil
}
