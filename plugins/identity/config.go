package main

import (
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/shared/strictyaml"
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
	APIKeys      *apiKeys      `yaml:"apiKeys"`    // absent: API keys are refused
	SecretFile   string        `yaml:"secretFile"` // at least 32 bytes; keys the pseudonyms of session keys
	Upstreams    []string      `yaml:"upstreams"`  // hosts that a token may be sent to
	Allow        allow         `yaml:"allow"`
	Audit        auditConfig   `yaml:"audit"`

	upstreams upstreams // as parsed
}

type keysConfig struct {
	Dir string `yaml:"dir"`
}

// idp maps the claims of one identity provider. Its alias is the namespace of
// its users' subjects, so that two providers' "123" are two people.
type idp struct {
	Alias     string               `yaml:"alias"`
	Issuer    string               `yaml:"issuer"`
	Audiences []string             `yaml:"audiences"` // the caller's token must be for one of them
	Subject   string               `yaml:"subject"`   // claim
	Scopes    []string             `yaml:"scopes"`    // claims that hold scopes
	Claims    map[string]claimRule `yaml:"claims"`
}

// apiKeys maps the metadata of API keys.
type apiKeys struct {
	Subject string               `yaml:"subject"` // meta.NAME, or hmac: a pseudonym of the key id
	Claims  map[string]claimRule `yaml:"claims"`
	Scopes  keyScopes            `yaml:"scopes"`
}

// keyScopes grants scopes by the Tyk policies that a key holds.
type keyScopes struct {
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
	Output string `yaml:"output"` // stdout (default) | stderr
}

// parseConfig reads the file and reports everything that is wrong with it,
// together and with line numbers.
func parseConfig(file string, data []byte) (*config, error) {
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, err
	}
	c := &config{Lifetime: time.Minute, MinRemaining: 5 * time.Second, Audit: auditConfig{Output: "stdout"}}
	v := validator{doc: doc, unreadable: doc.Decode(c)}
	v.config(c)
	if err := append(v.unreadable, v.problems...).In(file).Err(); err != nil {
		return nil, err
	}
	c.Keys.Dir, c.SecretFile = beside(file, c.Keys.Dir), beside(file, c.SecretFile)
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
		for name := range p.Claims {
			names = append(names, name)
		}
	}
	if c.APIKeys != nil {
		for name := range c.APIKeys.Claims {
			names = append(names, name)
		}
	}
	return names
}
