// Package settings is the plugin's configuration file: its form, its defaults, and its checks. It
// does not know Tyk.
package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/plugins/identity/mapping"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/forward"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

// Config is the plugin's file: for whom tokens are signed, with which keys, and what of a session
// they may contain. A key that is no field here is rejected as unknown.
type Config struct {
	Issuer       string        `yaml:"issuer"`   // iss: the URL under which verifiers know this gateway fleet
	Audience     string        `yaml:"audience"` // aud: a globally unique name of the deployment
	Workload     string        `yaml:"workload"` // req_wl: the gateway's own SPIFFE id
	Keys         Keys          `yaml:"keys"`
	Lifetime     time.Duration `yaml:"lifetime"`     // of a token; default 60s, at most 5m
	MinRemaining time.Duration `yaml:"minRemaining"` // what the caller's own credential must have left; default 5s
	IDPs         []IDP         `yaml:"idps"`

	// Sessions that Tyk itself keeps, see [SessionKind]. A kind that is absent is denied.
	APIKeys *SessionMapping `yaml:"apiKeys"`
	OAuth   *SessionMapping `yaml:"oauth"` // access tokens that Tyk has issued
	Basic   *SessionMapping `yaml:"basic"`
	HMAC    *SessionMapping `yaml:"hmac"`
	MTLS    *SessionMapping `yaml:"mtls"`   // client certificates
	Custom  *SessionMapping `yaml:"custom"` // authentication plugins

	SecretFile string     `yaml:"secretFile"` // at least 32 bytes: the key of the pseudonyms of session keys
	Upstreams  []string   `yaml:"upstreams"`  // hosts that a token may be sent to
	Allow      Allow      `yaml:"allow"`
	Edge       Edge       `yaml:"edge"`
	Revocation Revocation `yaml:"revocation"`
	Audit      Audit      `yaml:"audit"`
	Metrics    string     `yaml:"metrics"` // IP:PORT of the Prometheus text; absent: none

	UpstreamHosts forward.Hosts `yaml:"-"` // Upstreams, parsed
	Generation    string        `yaml:"-"` // the start of the SHA-256 of the file, in hex
}

// Keys is the section keys.
type Keys struct {
	Dir string `yaml:"dir"`
}

// Allow lists, by their ids, the APIs that may do what only the operators of the gateway may permit.
type Allow struct {
	OptionalIdentity  []string `yaml:"optionalIdentity"`  // pass requests on without identity
	ResponseCache     []string `yaml:"responseCache"`     // use Tyk's response cache
	DetailedRecording []string `yaml:"detailedRecording"` // have requests recorded with their tokens
}

// Edge names the documents that target edge/API; absent: the gateway decides none. The edge can only
// deny what a hop might allow. An API that no document targets is left to the hops.
type Edge struct {
	Policies []PolicyFolder `yaml:"policies"`
	Enforce  bool           `yaml:"enforce"` // default: decisions are recorded, and not applied
}

// PolicyFolder is a folder of documents.
type PolicyFolder struct {
	Path string `yaml:"path"`
	Name string `yaml:"name"` // default: the last element of path
}

// Revocation names the list of revocations; absent: nothing is revoked.
//
// The gateway reads no Redis, as the authorizer does. The first hop denies tokens that the gateway
// should not have signed, so the edge would gain only an earlier answer, and the gateway's process
// would get a connection that can fail.
type Revocation struct {
	File string `yaml:"file"`
}

// Audit says where audit records go, and how many may wait.
type Audit struct {
	Output string        `yaml:"output"` // stdout (default) | stderr
	Queue  bytesize.Size `yaml:"queue"`  // bytes of records that wait for their reader; default 8MiB

	AnonymousDenials int `yaml:"anonymousDenials"` // recorded a second, for each reason; default 10
}

// Where audit records may go: descriptors of the gateway's process.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// DefaultAudit is used until a file says something else.
var DefaultAudit = Audit{Output: Stdout, Queue: audit.DefaultQueue, AnonymousDenials: audit.DefaultAnonymous}

// maxFileBytes is far more than a configuration needs.
const maxFileBytes = 1 << 20

// Read reads, completes and checks the file.
func Read(file string) (*Config, error) {
	data, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		return nil, err
	}
	c, err := Parse(file, data)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	c.Generation = hex.EncodeToString(sum[:6])
	return c, nil
}

// Parse reads the content of the file. Its error is a [strictyaml.Problems] with everything that is
// wrong, each with line and column.
func Parse(file string, data []byte) (*Config, error) {
	c := &Config{Lifetime: time.Minute, MinRemaining: 5 * time.Second, Audit: DefaultAudit}
	checker, err := strictyaml.NewChecker(file, data, c)
	if err != nil {
		return nil, err
	}
	c.completeIDPs()
	c.completeFolders(checker)
	validator{checker}.checkConfig(c)
	if err := checker.Err(); err != nil {
		return nil, err
	}
	c.resolvePaths(checker)
	c.normalize()
	return c, nil
}

// completeFolders resolves the paths of folders, and gives a folder without a name the last element of
// its path.
func (c *Config) completeFolders(checker *strictyaml.Checker) {
	for i := range c.Edge.Policies {
		folder := &c.Edge.Policies[i]
		if folder.Path == "" {
			continue
		}
		folder.Path = checker.ResolvePath(folder.Path)
		if !checker.Has(strictyaml.Path{"edge", "policies", i, "name"}) {
			folder.Name = policysource.DirName(folder.Path)
		}
	}
}

// resolvePaths reads relative names from the folder of the configuration, as the authorizer does. The
// gateway's working directory can be any.
func (c *Config) resolvePaths(checker *strictyaml.Checker) {
	c.Keys.Dir, c.SecretFile = checker.ResolvePath(c.Keys.Dir), checker.ResolvePath(c.SecretFile)
	if c.Revocation.File != "" {
		c.Revocation.File = checker.ResolvePath(c.Revocation.File)
	}
}

// normalize writes valid values in the one form in which they are compared.
func (c *Config) normalize() {
	for _, upstream := range c.Upstreams {
		host, _ := forward.ParseHost(upstream) // was checked
		c.UpstreamHosts = append(c.UpstreamHosts, host)
	}
	for _, p := range c.IDPs {
		for i, source := range p.Sources {
			p.Sources[i] = DecodeJWTSource(source)
		}
		for i, typ := range p.Types {
			p.Types[i] = NormalizeType(typ)
		}
	}
}

// MappedClaim is one line of a mapping in the file.
type MappedClaim struct {
	Mapping string // alias of the idp, or block of a kind of session
	Claim   string // of tctx, or [ScopeClaim]
	From    string // the claims or the field of the credential, as the file names them
}

// ScopeClaim represents all the claims of an idp that hold scopes.
const ScopeClaim = ""

// MappedClaims gives all lines of all mappings.
func (c *Config) MappedClaims() (all []MappedClaim) {
	add := func(block string, rules map[string]mapping.Rule) {
		for name, rule := range rules {
			all = append(all, MappedClaim{Mapping: block, Claim: name, From: rule.From})
		}
	}
	for _, p := range c.IDPs {
		if len(p.Scopes) > 0 {
			all = append(all, MappedClaim{Mapping: p.Alias, Claim: ScopeClaim, From: strings.Join(p.Scopes, ", ")})
		}
		add(p.Alias, p.Claims)
	}
	for _, kind := range SessionKinds {
		if rules := c.SessionMapping(kind); rules != nil {
			add(kind.Block, rules.Claims)
		}
	}
	return all
}

// Members gives the members that this gateway can write into tctx, sorted. A policy that reads another
// one has a mistake, and would decide by a claim that no token has.
func (c *Config) Members() []string {
	names := []string{}
	for _, claim := range c.MappedClaims() {
		if claim.Claim != ScopeClaim {
			names = append(names, claim.Claim)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
