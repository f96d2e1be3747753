package settings

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// NarrowingKey is where an API's own settings are: config_data.meshpass, in an OpenAPI definition
// middleware.global.pluginConfig.data.value.meshpass.
const NarrowingKey = "meshpass"

// Narrowing is an API's own settings. A person who may edit an API must not gain by it: each setting
// can only take away from what the plugin's file grants.
type Narrowing struct {
	Scopes    *[]string     `yaml:"scopes"`    // of the caller's scopes, at most these
	Claims    *[]string     `yaml:"claims"`    // of the mapped claims, only these
	Audiences *[]string     `yaml:"audiences"` // of the providers' audiences, only these
	Lifetime  time.Duration `yaml:"lifetime"`  // shorter than the file's
	Identity  string        `yaml:"identity"`  // required (default) | optional, where allow.optionalIdentity names the API
	Canary    bool          `yaml:"canary"`    // answer every request as the hook Canary does
}

// ReadNarrowing reads the value of [NarrowingKey].
func ReadNarrowing(value any) (n Narrowing, err error) {
	// The settings become text again, so that the reader that rejects unknown keys of the file reads them too.
	data, err := yaml.Marshal(value)
	if err != nil {
		return n, err
	}
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return n, err
	}
	return n, doc.Decode(&n).Err()
}

// CheckWidening reports everything that would widen, together. hasAudience: callers' credentials name an audience.
func (n Narrowing) CheckWidening(c *Config, apiID string, hasAudience bool) error {
	var wrong []error
	report := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if n.Lifetime != 0 && (n.Lifetime < time.Second || n.Lifetime > c.Lifetime) {
		report("lifetime %v: want 1s to %v, the lifetime of the plugin's file", n.Lifetime, c.Lifetime)
	}
	if n.Claims != nil {
		for _, name := range *n.Claims {
			if !slices.Contains(c.Members(), name) {
				report("claims: no idp and no kind of session in the plugin's file maps %q", name)
			}
		}
	}
	if n.Audiences != nil {
		if !hasAudience {
			report("audiences: only APIs with JWT or OpenID Connect have callers whose credentials name an audience: remove it")
		}
		if len(*n.Audiences) == 0 {
			report("audiences: want at least one audience of an idp")
		}
		for _, audience := range *n.Audiences {
			if !slices.ContainsFunc(c.IDPs, func(p IDP) bool { return slices.Contains(p.Audiences, audience) }) {
				report("audiences: no idp in the plugin's file has the audience %q", audience)
			}
		}
	}
	switch n.Identity {
	case "", "required":
	case "optional":
		if !slices.Contains(c.Allow.OptionalIdentity, apiID) {
			report("identity: optional: the plugin's file must name the API under allow.optionalIdentity")
		}
	default:
		report("identity %q: want required or optional", n.Identity)
	}
	return errors.Join(wrong...)
}
