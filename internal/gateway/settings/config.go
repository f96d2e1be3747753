// Package settings is the plugin's configuration file: its form, its defaults, and its checks. It
// does not know Tyk.
package settings

import (
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/internal/auditconfig"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/gateway/mapping"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/forward"
)

// Config is the plugin's file: the callers that get tokens, the keys that sign them, and the parts of a
// session that they may contain. A key that is no field here is rejected as unknown.
type Config struct {
	Issuer       string        `yaml:"issuer"`   // iss: the URL under which verifiers know this gateway fleet
	Audience     string        `yaml:"audience"` // aud: a globally unique name of the deployment
	Workload     string        `yaml:"workload"` // req_wl: the gateway's own SPIFFE id
	Keys         Keys          `yaml:"keys"`
	Lifetime     time.Duration `yaml:"lifetime"`     // of a token; default 60s, at most 5m
	MinRemaining time.Duration `yaml:"minRemaining"` // the least that the caller's own credential must still be valid; default 5s
	IDPs         []IDP         `yaml:"idps"`

	// Sessions that Tyk itself keeps, see [SessionKind]. A kind that is absent is denied.
	APIKeys *SessionMapping `yaml:"apiKeys"`
	OAuth   *SessionMapping `yaml:"oauth"` // access tokens that Tyk has issued
	Basic   *SessionMapping `yaml:"basic"`
	HMAC    *SessionMapping `yaml:"hmac"`
	MTLS    *SessionMapping `yaml:"mtls"`   // client certificates
	Custom  *SessionMapping `yaml:"custom"` // authentication plugins

	SecretFile string     `yaml:"secretFile" env:"expand"` // at least 32 bytes: the key of the pseudonyms of session keys
	Upstreams  []string   `yaml:"upstreams"`               // hosts that a token may be sent to
	Allow      Allow      `yaml:"allow"`
	Edge       Edge       `yaml:"edge"`
	Revocation Revocation `yaml:"revocation"`
	Audit      Audit      `yaml:"audit"`
	Metrics    string     `yaml:"metrics" env:"expand"` // IP:PORT of the Prometheus text; absent: it is not served

	UpstreamHosts forward.Hosts `yaml:"-"` // Upstreams, parsed
	Generation    string        `yaml:"-"` // the start of the SHA-256 of the file, in hex
}

// Keys is the section keys.
type Keys struct {
	Dir string `yaml:"dir" env:"expand"`
}

// Allow lists, by their ids, the APIs that may do what only the operators of the gateway may permit.
type Allow struct {
	OptionalIdentity  []string `yaml:"optionalIdentity"`  // pass requests on without identity
	ResponseCache     []string `yaml:"responseCache"`     // use Tyk's response cache
	DetailedRecording []string `yaml:"detailedRecording"` // have requests recorded with their tokens
}

// Edge names the documents that target edge/API; absent: the gateway decides by no document.
// The edge can only deny what a hop might allow. An API that no document targets is left to the hops.
type Edge struct {
	Policies []PolicyFolder `yaml:"policies"`
	Enforce  bool           `yaml:"enforce"` // default: decisions are recorded, and not applied
}

// PolicyFolder is a folder of documents.
type PolicyFolder struct {
	Path string `yaml:"path" env:"expand"`
	Name string `yaml:"name"` // default: the last element of path
}

// Revocation names the list of revocations; absent: nothing is revoked.
//
// Unlike the authorizer, the gateway does not read revocations from Redis. The first hop denies tokens that
// the gateway should not have signed, so the edge would gain only an earlier answer, and the gateway's
// process would get a connection that can fail.
type Revocation struct {
	File string `yaml:"file" env:"expand"`
}

// Audit is the section audit: the output of audit records, and their bounds.
type Audit struct {
	Output string        `yaml:"output"` // stdout (default) | stderr
	Queue  bytesize.Size `yaml:"queue"`  // bytes of records that wait for their reader; default 8MiB

	AnonymousDenials int      `yaml:"anonymousDenials"` // recorded a second, for each reason; default 10
	Required         bool     `yaml:"required"`         // a request goes on only after its record was written; default false
	SampleAllowed    float64  `yaml:"sampleAllowed"`    // share of issued tokens and anonymous requests that are recorded; default 1
	Mask             []string `yaml:"mask"`             // fields of records whose values are replaced; default none

	Chain auditconfig.Chain `yaml:"chain"` // default: records are no chain
}

// Settings are those of the audit log.
func (a Audit) Settings() audit.Settings {
	return audit.Settings{
		Queue: int(a.Queue), Anonymous: a.AnonymousDenials, Required: a.Required, SampleAllowed: &a.SampleAllowed, Mask: a.Mask,
	}
}

// Where audit records may go: descriptors of the gateway's process.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// DefaultAudit is used until a file is loaded, and for keys that the file does not have.
var DefaultAudit = Audit{Output: Stdout, Queue: audit.DefaultQueue, AnonymousDenials: audit.DefaultAnonymous, SampleAllowed: 1, Chain: auditconfig.DefaultChain}

// SessionMapping gives the mapping of a kind of session; nil: the file does not have it, and
// sessions of this kind are denied.
func (c *Config) SessionMapping(kind SessionKind) *SessionMapping {
	switch kind {
	case APIKeySessions:
		return c.APIKeys
	case OAuthSessions:
		return c.OAuth
	case BasicSessions:
		return c.Basic
	case HMACSessions:
		return c.HMAC
	case MTLSSessions:
		return c.MTLS
	case CustomSessions:
		return c.Custom
	}
	return nil
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
