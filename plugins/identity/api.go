package main

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/shared/identity"
)

// api is what the plugin knows of one API, derived once from its definition.
type api struct {
	identity.API
	source        any // Tyk's own copy of the definition: another one after a reload
	org           string
	method        method
	unsupported   error             // why the method is none that can be read
	tokenIn       apidef.AuthConfig // where the caller's JWT is
	jwtSources    []string          // the keys that have verified it
	certificates  []string          // of clients, where nothing else is asked for
	contextVars   bool              // the verified claims reach the plugin
	identityField string            // the claim after which Tyk names a JWT user's session; empty: sub
	copies
	targets

	afterGuard error // why no call of an MCP proxy can be signed

	mayCache, mayRecord bool // by leave of the plugin's file

	// The API's own settings; they only ever narrow the file's.
	optional bool
	lifetime time.Duration
	scopes   *[]string // nil: all
	claims   *[]string // nil: all

	audiences *[]string // the caller's token must be for one of these too; nil: for any of its provider's
}

// narrow takes away what this API does not pass on.
func (a *api) narrow(id identity.Identity) identity.Identity {
	if a.scopes != nil {
		id.Scopes = slices.DeleteFunc(id.Scopes, func(scope string) bool { return !slices.Contains(*a.scopes, scope) })
	}
	for name := range id.Claims {
		if a.claims != nil && !slices.Contains(*a.claims, name) {
			delete(id.Claims, name)
		}
	}
	return id
}

// apis remembers the settings of each API for as long as Tyk uses the same
// definition. The zero value is ready.
type apis struct {
	lock sync.RWMutex
	byID map[string]known
}

type known struct {
	source any
	api    *api
	err    error
}

// of gives the settings of the request's API. Settings that are refused stay
// refused, and are logged once, until the API is loaded anew.
func (c *apis) of(s *signer, r *http.Request) (*api, error) {
	d, err := definitionOf(r)
	if err != nil {
		return nil, err
	}
	c.lock.RLock()
	entry, ok := c.byID[d.id]
	c.lock.RUnlock()
	if ok && entry.source == d.source {
		return entry.api, entry.err
	}
	entry = known{source: d.source}
	definition := d.read()
	if entry.api, entry.err = s.config.settings(definition); entry.err == nil {
		entry.api.source = d.source
		entry.api.afterGuard = afterGuard(definition, d.extension)
	} else {
		s.log.Error("every request of this API is refused until its definition is mended", "api", d.id, "error", entry.err.Error())
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.byID == nil {
		c.byID = map[string]known{}
	}
	c.byID[d.id] = entry
	return entry.api, entry.err
}
