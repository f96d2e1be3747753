package main

import (
	"fmt"
	"net/url"
	"slices"
	"sync"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/shared/decision"
)

// The lists of a classic definition that can hold hooks, by their names there.
const (
	preList       = "custom_middleware.pre"
	authList      = "custom_middleware.auth_check"
	postAuthList  = "custom_middleware.post_key_auth"
	postList      = "custom_middleware.post"
	responseList  = "custom_middleware.response"
	endpointsList = "extended_paths.go_plugin"
)

// The hooks that protect an API, and the only list in which each of them works.
// [Canary] is none of them: it protects nothing.
var listFor = map[string]string{stripHook: preList, signHook: postAuthList, guardHook: postList}

const (
	stripHook = "StripIdentity"
	signHook  = "SignIdentity"
)

// hookCause says how a definition's hooks fail to protect the API; it is a label of a metric.
type hookCause string

const (
	notRun       hookCause = "not_run"       // Tyk runs none of the hooks: the driver is another one, or the API is no HTTP
	hookList     hookCause = "hook_list"     // a hook is in a list where it cannot work, twice in its own, or has no path
	signMissing  hookCause = "sign_missing"  // authenticated, and nothing decides for whom to sign
	guardMissing hookCause = "guard_missing" // nothing puts the token on the request
	stripMissing hookCause = "strip_missing" // keyless, and no hook runs that removes a client's own headers
	pairDiffers  hookCause = "oas_pair"      // the two files of an OpenAPI definition list different hooks
	noHooks      hookCause = "no_hooks"      // none of our hooks, and the API forwards to a host in upstreams
	options      hookCause = "options"       // options_passthrough, for which Tyk runs no hook, and such a host
	notRead      hookCause = "not_read"      // the definition cannot be read here, for its size or a fault of ours
)

var hookCauses = []hookCause{notRun, hookList, signMissing, guardMissing, stripMissing, pairDiffers, noHooks, options, notRead}

// failsCanary reports whether a gateway with such a definition is unready. An API without our hooks, or
// with options_passthrough, may be meant so.
func (c hookCause) failsCanary() bool { return c != noHooks && c != options && c != notRead }

// hookFault is an error of a definition; its text says what to change.
type hookFault struct {
	cause hookCause
	text  string
}

func (f *hookFault) Error() string { return f.text }

// reason is what requests are refused for.
func (f *hookFault) reason() decision.Reason {
	if f.cause == guardMissing {
		return decision.GuardMissing
	}
	return decision.ConfigInvalid
}

func faultf(cause hookCause, format string, args ...any) *hookFault {
	return &hookFault{cause, fmt.Sprintf(format, args...)}
}

// hooksOf gives our hooks that are enabled, by the list that names them. One without a path is not among
// them: Tyk passes over it.
func hooksOf(d *apidef.APIDefinition) map[string][]string {
	lists := map[string][]string{}
	add := func(list, hook string, disabled bool) {
		if _, ours := listFor[hook]; ours && !disabled {
			lists[list] = append(lists[list], hook)
		}
	}
	m := d.CustomMiddleware
	for list, hooks := range map[string][]apidef.MiddlewareDefinition{
		preList: m.Pre, authList: {m.AuthCheck}, postAuthList: m.PostKeyAuth, postList: m.Post, responseList: m.Response,
	} {
		for _, hook := range hooks {
			add(list, hook.Name, hook.Disabled || hook.Path == "" && listFor[hook.Name] == list)
		}
	}
	for _, version := range d.VersionData.Versions {
		for _, hook := range version.ExtendedPaths.GoPlugin {
			add(endpointsList, hook.SymbolName, hook.Disabled)
		}
	}
	return lists
}

func runs(lists map[string][]string, hook string) bool {
	return slices.Contains(lists[listFor[hook]], hook)
}

// hasBundle reports whether a bundle replaces the lists: what it holds cannot be seen.
func hasBundle(d *apidef.APIDefinition) bool {
	return d.CustomMiddlewareBundle != "" && !d.CustomMiddlewareBundleDisabled
}

// misplaced reports a hook that is in a list where it cannot work; nil: none is.
func misplaced(lists map[string][]string) *hookFault {
	for _, list := range []string{preList, authList, postAuthList, postList, responseList, endpointsList} {
		for i, hook := range lists[list] {
			switch {
			case listFor[hook] != list:
				return faultf(hookList, "%s lists %s, which works in %s only: move it there", list, hook, listFor[hook])
			case slices.Contains(lists[list][:i], hook):
				return faultf(hookList, "%s lists %s twice: remove one of them", list, hook)
			}
		}
	}
	return nil
}

// withoutPath reports a hook that is listed without the plugin's file: Tyk passes over it.
func withoutPath(d *apidef.APIDefinition) *hookFault {
	m := d.CustomMiddleware
	for _, list := range []struct {
		name  string
		hooks []apidef.MiddlewareDefinition
	}{{preList, m.Pre}, {postAuthList, m.PostKeyAuth}, {postList, m.Post}} {
		for _, hook := range list.hooks {
			if _, ours := listFor[hook.Name]; ours && !hook.Disabled && hook.Path == "" {
				return faultf(hookList, "%s lists %s without a path, so that Tyk does not run it: name the plugin's file", list.name, hook.Name)
			}
		}
	}
	return nil
}

// hookFaultOf reports why requests of the API would go on without a token, or with a client's
// own; nil: they would not, as far as the definition shows, or it has none of our hooks. The
// caller knows that Tyk runs the hooks. The zero config knows no upstreams.
func (c *config) hookFaultOf(d *apidef.APIDefinition) *hookFault {
	if hasBundle(d) {
		return nil
	}
	if fault := withoutPath(d); fault != nil {
		return fault
	}
	lists := hooksOf(d)
	if len(lists) == 0 {
		return nil
	}
	if fault := misplaced(lists); fault != nil {
		return fault
	}
	signs, guards := runs(lists, signHook), runs(lists, guardHook)
	byCertificate := d.UseKeylessAccess && d.UseMutualTLSAuth // GuardUpstream finds the caller there
	if d.UseKeylessAccess && !byCertificate {
		if !guards && !runs(lists, stripHook) {
			return faultf(stripMissing, "the API is keyless, so Tyk does not call %s: list %s in %s", signHook, stripHook, preList)
		}
		return nil
	}
	if !signs && !guards && !c.forwards(d) {
		return nil // it goes to none of our hosts, and its callers' own headers are removed
	}
	switch {
	case !signs && !byCertificate && c.mayLackIdentity(d):
		return nil
	case !signs && !byCertificate:
		return faultf(signMissing, "%s does not list %s, without which no request gets a token", postAuthList, signHook)
	}
	if err := guarded(d); err != nil {
		return faultf(guardMissing, "%s", err)
	}
	return nil
}

// mayLackIdentity reports whether the API asks to pass requests on without identity, and the plugin's
// file admits it.
func (c *config) mayLackIdentity(d *apidef.APIDefinition) bool {
	n, err := narrowingOf(d)
	return err == nil && n.Identity == "optional" && slices.Contains(c.Allow.OptionalIdentity, d.APIID)
}

// forwards reports whether a target that is written in the definition is a host in upstreams.
// Another API of this gateway (tyk://) is none: its own hooks sign.
func (c *config) forwards(d *apidef.APIDefinition) bool {
	targets := []string{d.Proxy.TargetURL}
	if d.Proxy.EnableLoadBalancing {
		for _, target := range d.Proxy.Targets {
			targets = append(targets, withScheme(target))
		}
	}
	for _, version := range d.VersionData.Versions {
		targets = append(targets, version.OverrideTarget)
		for _, rewrite := range version.ExtendedPaths.URLRewrite {
			if rewrite.Disabled {
				continue
			}
			targets = append(targets, rewrite.RewriteTo)
			for _, trigger := range rewrite.Triggers {
				targets = append(targets, trigger.RewriteTo)
			}
		}
	}
	return slices.ContainsFunc(targets, func(target string) bool {
		u, err := url.Parse(target)
		return err == nil && u.Scheme != internalScheme && c.upstreams.Admit(u)
	})
}

// hookFaults remembers the answer for each API for as long as Tyk uses the same
// definition. The zero value is ready.
type hookFaults struct {
	lock sync.RWMutex
	byID map[string]knownHooks
}

type knownHooks struct {
	source any
	later  bool  // SignIdentity or GuardUpstream runs, and refuses
	err    error // for every request; nil: none
}

// of judges the definition d.
func (f *hookFaults) of(s *signer, d definition) knownHooks {
	f.lock.RLock()
	known, ok := f.byID[d.id]
	f.lock.RUnlock()
	if ok && known.source == d.source {
		return known
	}
	known = s.judgeHooks(d.read())
	known.source = d.source
	if known.err != nil {
		s.log.Error("requests of this API are refused until its definition is corrected", "api", d.id, "error", known.err.Error())
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.byID == nil {
		f.byID = map[string]knownHooks{}
	}
	f.byID[d.id] = known
	return known
}

func (s *signer) judgeHooks(d *apidef.APIDefinition) (known knownHooks) {
	lists, keyless := hooksOf(d), d.UseKeylessAccess
	signs, guards := runs(lists, signHook) && !keyless, runs(lists, guardHook)
	known.later = signs || guards
	if s.broken != nil {
		if !hasBundle(d) && !signs && (!keyless || d.UseMutualTLSAuth) {
			known.err = s.broken // whether it forwards to our hosts is not known
		}
		return known
	}
	if fault := s.config.hookFaultOf(d); fault != nil {
		known.err = refuse(fault.reason(), "API %s: %w", d.APIID, fault)
	}
	return known
}
