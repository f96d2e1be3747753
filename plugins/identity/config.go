package main

import (
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/forward"
)

// config is the plugin's file: for whom tokens are signed, with which keys, and
// what of a session they may say. What stands in no field is refused as unknown.
type config struct {
	Issuer       string        `yaml:"issuer"`   // iss: the URL under which verifiers know this gateway fleet
	Audience     string        `yaml:"audience"` // aud: a globally unique name of the deployment
	Workload     string        `yaml:"workload"` // req_wl: the gateway's own SPIFFE id
	Keys         keysConfig    `yaml:"keys"`
	Lifetime     time.Duration `yaml:"lifetime"`     // of a token; default 60s, at most 5m
	MinRemaining time.Duration `yaml:"minRemaining"` // what the caller's own credential must have left; default 5s
	IDPs         []idp         `yaml:"idps"`

	// Sessions that Tyk keeps itself; a kind that is absent is refused.
	APIKeys *sessionMapping `yaml:"apiKeys"`
	OAuth   *sessionMapping `yaml:"oauth"` // access tokens that Tyk has issued
	Basic   *sessionMapping `yaml:"basic"`
	HMAC    *sessionMapping `yaml:"hmac"`
	MTLS    *sessionMapping `yaml:"mtls"`   // client certificates
	Custom  *sessionMapping `yaml:"custom"` // authentication plugins

	SecretFile string           `yaml:"secretFile"` // at least 32 bytes; keys the pseudonyms of session keys
	Upstreams  []string         `yaml:"upstreams"`  // hosts that a token may be sent to
	Allow      allow            `yaml:"allow"`
	Edge       edgeConfig       `yaml:"edge"`
	Revocation revocationConfig `yaml:"revocation"`
	Audit      auditConfig      `yaml:"audit"`
	Metrics    string           `yaml:"metrics"` // IP:PORT of the Prometheus text; absent: none

	upstreams  forward.Hosts // as parsed
	generation string        // which content this is, as read from a file
}

type keysConfig struct {
	Dir string `yaml:"dir"`
}

// idp maps the claims of one identity provider. Its alias is the namespace of
// its users' subjects, so that two providers' "123" are two people.
type idp struct {
	Alias     string               `yaml:"alias"`
	Preset    string               `yaml:"preset"` // fills in subject and scopes, and adds claims
	Issuer    string               `yaml:"issuer"`
	Audiences []string             `yaml:"audiences"`  // the caller's token must be for one of them
	Sources   []string             `yaml:"jwtSources"` // jwt_source of APIs with this provider's keys; may be absent if it is the only one
	Subject   string               `yaml:"subject"`    // claim; `a+b`: two that name the user together; `a|b`: the first that is there
	Scopes    []string             `yaml:"scopes"`     // claims that hold scopes
	Claims    map[string]claimRule `yaml:"claims"`     // over those of the preset
	Types     []string             `yaml:"types"`      // typ of the header; none: there is none. Default: JWT, at+jwt, none

	AccessTokensOnly bool `yaml:"accessTokensOnly"` // refuse what is marked as an ID token
}

// sessionMapping maps the metadata of one kind of session.
type sessionMapping struct {
	Subject string               `yaml:"subject"` // meta.NAME, or what the kind itself knows, see kinds
	Claims  map[string]claimRule `yaml:"claims"`
	Scopes  policyScopes         `yaml:"scopes"`
}

// policyScopes grants scopes by the Tyk policies that a session holds.
type policyScopes struct {
	ByPolicy map[string][]string `yaml:"byPolicy"`
}

// allow lists what an API may do only by leave of whoever runs the gateway, by
// the ids of such APIs.
type allow struct {
	OptionalIdentity  []string `yaml:"optionalIdentity"`  // pass requests on without identity
	ResponseCache     []string `yaml:"responseCache"`     // use Tyk's response cache
	DetailedRecording []string `yaml:"detailedRecording"` // have requests recorded with their tokens
}

type auditConfig struct {
	Output string        `yaml:"output"` // stdout (default) | stderr
	Queue  bytesize.Size `yaml:"queue"`  // bytes of records that wait for their reader; default 8MiB

	AnonymousDenials int `yaml:"anonymousDenials"` // recorded a second, for each reason; default 10
}

var defaultAudit = auditConfig{Output: toStdout, Queue: audit.DefaultQueue, AnonymousDenials: audit.DefaultAnonymous}

// parseConfig reads the file and reports everything that is wrong with it,
// together and with line numbers.
func parseConfig(file string, data []byte) (*config, error) {
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, err
	}
	c := &config{Lifetime: time.Minute, MinRemaining: 5 * time.Second, Audit: defaultAudit}
	v := validator{file: file, doc: doc, unreadable: append(doc.Decode(c), doc.Unexpanded()...)}
	c.usePresets()
	v.config(c)
	if err := append(v.unreadable, v.problems...).In(file).Err(); err != nil {
		return nil, err
	}
	c.Keys.Dir, c.SecretFile = beside(file, c.Keys.Dir), beside(file, c.SecretFile)
	if c.Revocation.File != "" {
		c.Revocation.File = beside(file, c.Revocation.File)
	}
	return c, nil
}

// beside reads a relative name from where the configuration stands, as the
// authorizer does: the gateway's working directory is no place to rely on.
func beside(file, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(file), name)
}

// claimNames are the claims that some mapping can put into a token.
func (c *config) claimNames() []string {
	var names []string
	for _, p := range c.IDPs {
		names = slices.AppendSeq(names, maps.Keys(p.Claims))
	}
	for _, kind := range kinds {
		if mapping := kind.rules(c); mapping != nil {
			names = slices.AppendSeq(names, maps.Keys(mapping.Claims))
		}
	}
	return names
}
