package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/TykTechnologies/tyk/apidef"
	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// settingsKey is where an API's own settings stand: config_data.meshpass, in an
// OAS definition middleware.global.pluginConfig.data.value.meshpass.
const settingsKey = "meshpass"

// narrowing is an API's own settings. Whoever may edit an API must not gain by
// it: each can only take away from what the plugin's file grants.
type narrowing struct {
	Scopes    *[]string     `yaml:"scopes"`    // of the caller's scopes, at most these
	Claims    *[]string     `yaml:"claims"`    // of the mapped claims, only these
	Audiences *[]string     `yaml:"audiences"` // of the providers' audiences, only these
	Lifetime  time.Duration `yaml:"lifetime"`  // shorter than the file's
	Identity  string        `yaml:"identity"`  // required (default) | optional, where allow.optionalIdentity names the API
}

// settings derives what the plugin needs from an API's definition. With an error
// every request of the API is refused.
func (c *config) settings(d *apidef.APIDefinition) (*api, error) {
	n, err := narrowingOf(d)
	method, unsupported := methodOf(d)
	if err == nil {
		err = c.checkNarrows(n, d.APIID, method)
	}
	if err != nil {
		return nil, refuse(decision.ConfigInvalid, "API %s, config_data.meshpass: %w", d.APIID, err)
	}
	if err := guarded(d); err != nil {
		return nil, refuse(decision.GuardMissing, "API %s, %w", d.APIID, err)
	}
	if fault := c.hookFaultOf(d); fault != nil {
		return nil, refuse(fault.reason(), "API %s: %w", d.APIID, fault)
	}
	targets, err := c.targetsOf(d)
	if err != nil {
		return nil, refuse(decision.UpstreamRefused, "API %s: %w", d.APIID, err)
	}
	a := &api{
		API: identity.API{ID: d.APIID, Name: d.Name}, org: d.OrgID,
		method: method, unsupported: unsupported, certificates: certificatesOf(d), copies: copiesOf(d), targets: targets,
		tokenIn: tokenIn(d, method), jwtSources: jwtSources(d), contextVars: d.EnableContextVars, identityField: d.JWTIdentityBaseField,
		mayCache: slices.Contains(c.Allow.ResponseCache, d.APIID), mayRecord: slices.Contains(c.Allow.DetailedRecording, d.APIID),
		optional: n.Identity == "optional", lifetime: c.Lifetime, scopes: n.Scopes, claims: n.Claims, audiences: n.Audiences,
	}
	if n.Lifetime != 0 {
		a.lifetime = n.Lifetime
	}
	return a, nil
}

func narrowingOf(d *apidef.APIDefinition) (n narrowing, err error) {
	value, ok := d.ConfigData[settingsKey]
	if !ok {
		return n, nil
	}
	if d.ConfigDataDisabled {
		return n, errors.New("config_data is disabled: enable it or remove the settings, which would have narrowed")
	}
	// Through text, so that the reader that refuses unknown keys in the file does here too.
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

// checkNarrows reports everything that would widen, together.
func (c *config) checkNarrows(n narrowing, id string, m method) error {
	var wrong []error
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if n.Lifetime != 0 && (n.Lifetime < time.Second || n.Lifetime > c.Lifetime) {
		add("lifetime %v: want 1s to %v, the lifetime of the plugin's file", n.Lifetime, c.Lifetime)
	}
	if n.Claims != nil {
		for _, name := range *n.Claims {
			if !slices.Contains(c.claimNames(), name) {
				add("claims: no idp and no kind of session in the plugin's file maps %q", name)
			}
		}
	}
	if n.Audiences != nil {
		if m != methodJWT && m != methodOIDC {
			add("audiences: only APIs with JWT or OpenID Connect have callers whose credentials name an audience: remove it")
		}
		if len(*n.Audiences) == 0 {
			add("audiences: want at least one audience of an idp")
		}
		for _, audience := range *n.Audiences {
			if !slices.ContainsFunc(c.IDPs, func(p idp) bool { return slices.Contains(p.Audiences, audience) }) {
				add("audiences: no idp in the plugin's file has the audience %q", audience)
			}
		}
	}
	switch n.Identity {
	case "", "required":
	case "optional":
		if !slices.Contains(c.Allow.OptionalIdentity, id) {
			add("identity: optional: the plugin's file must name the API under allow.optionalIdentity")
		}
	default:
		add("identity %q: want required or optional", n.Identity)
	}
	return errors.Join(wrong...)
}
