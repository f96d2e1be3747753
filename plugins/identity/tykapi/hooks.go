package tykapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
)

// The names under which API definitions list the hooks of the plugin.
const (
	StripHook  = "StripIdentity"
	SignHook   = "SignIdentity"
	GuardHook  = "GuardUpstream"
	CanaryHook = "Canary"
)

// The lists of a classic definition that can contain hooks, by their names there.
const (
	preList       = "custom_middleware.pre"
	authList      = "custom_middleware.auth_check"
	postAuthList  = "custom_middleware.post_key_auth"
	postList      = "custom_middleware.post"
	responseList  = "custom_middleware.response"
	endpointsList = "extended_paths.go_plugin"
)

// listOf has the hooks that protect an API, and the only list where each of them works. [CanaryHook] is
// not among them: it protects nothing.
var listOf = map[string]string{StripHook: preList, SignHook: postAuthList, GuardHook: postList}

// HookCause is how a definition's hooks fail to protect the API. It is a label of a metric.
type HookCause string

// The causes.
const (
	NotRun       HookCause = "not_run"       // Tyk does not run the hooks: the driver is another one, or the API is no HTTP
	HookList     HookCause = "hook_list"     // a hook is in a list where it cannot work, twice in its own, or has no path
	SignMissing  HookCause = "sign_missing"  // the API authenticates callers, and no hook identifies them
	GuardMissing HookCause = "guard_missing" // nothing puts the token on the request
	StripMissing HookCause = "strip_missing" // keyless, and no hook runs that removes a client's own headers
	PairDiffers  HookCause = "oas_pair"      // the two files of an OpenAPI definition list different hooks
	NoHooks      HookCause = "no_hooks"      // the API has no hook of ours, and forwards to a host in upstreams
	Options      HookCause = "options"       // options_passthrough, where Tyk runs no hook, and such a host
	NotRead      HookCause = "not_read"      // the plugin cannot read the definition, for its size or a fault of ours
)

// HookCauses are all causes, in the order of the metric.
var HookCauses = []HookCause{NotRun, HookList, SignMissing, GuardMissing, StripMissing, PairDiffers, NoHooks, Options, NotRead}

// FailsCanary reports whether a gateway with such a definition is unready. An API without our hooks,
// or with options_passthrough, may be intended.
func (c HookCause) FailsCanary() bool { return c != NoHooks && c != Options && c != NotRead }

// hookFault is an error of a definition; its text names the change that fixes it.
type hookFault struct {
	cause HookCause
	text  string
}

func faultf(cause HookCause, format string, args ...any) *hookFault {
	return &hookFault{cause: cause, text: fmt.Sprintf(format, args...)}
}

func (f *hookFault) Error() string { return f.text }

// reason is the reason of the requests that are denied for the fault.
func (f *hookFault) reason() decision.Reason {
	if f.cause == GuardMissing {
		return decision.GuardMissing
	}
	return decision.ConfigInvalid
}

// HookChecks checks whether the hooks of an API protect it, and keeps the results.
type HookChecks struct {
	config *settings.Config // nil: no configuration is active
	broken error            // why no configuration is active
	log    *slog.Logger
	known  derivedValues[HookCheck]
}

// HookCheck is the result for one definition.
type HookCheck struct {
	Err          error // for every request; nil: the hooks protect the API
	CheckedLater bool  // SignIdentity or GuardUpstream runs, and denies
}

// NewHookChecks checks by a configuration.
func NewHookChecks(config *settings.Config, log *slog.Logger) *HookChecks {
	return &HookChecks{config: config, log: log}
}

// NewBrokenHookChecks denies what may not pass while there is no configuration.
func NewBrokenHookChecks(cause error, log *slog.Logger) *HookChecks {
	return &HookChecks{broken: cause, log: log}
}

// Find gives the result for the definition. An error is logged once, until Tyk loads the API again.
func (c *HookChecks) Find(d Definition) HookCheck {
	return c.known.get(d, func() HookCheck {
		check := c.checkHooks(d.classic())
		if check.Err != nil {
			c.log.Error("requests of this API are denied until its definition is fixed", "api", d.ID, "error", check.Err.Error())
		}
		return check
	})
}

func (c *HookChecks) checkHooks(d *apidef.APIDefinition) (result HookCheck) {
	lists, keyless := listedHooks(d), d.UseKeylessAccess
	signs, guards := runsHook(lists, SignHook) && !keyless, runsHook(lists, GuardHook)
	result.CheckedLater = signs || guards
	if c.broken != nil {
		if !hasBundle(d) && !signs && (!keyless || d.UseMutualTLSAuth) {
			result.Err = c.broken // without a configuration it is unknown whether it forwards to our hosts
		}
		return result
	}
	if fault := findHookFault(c.config, d); fault != nil {
		result.Err = denial.New(fault.reason(), "API %s: %w", d.APIID, fault)
	}
	return result
}

// findHookFault reports why requests of the API would go on without a token, or with a client's own;
// nil: they would not, as far as the definition shows, or it has no hook of ours. The caller knows
// that Tyk runs the hooks. The zero configuration has no upstreams.
func findHookFault(c *settings.Config, d *apidef.APIDefinition) *hookFault {
	if hasBundle(d) {
		return nil
	}
	if fault := findHookWithoutPath(d); fault != nil {
		return fault
	}
	lists := listedHooks(d)
	if len(lists) == 0 {
		return nil
	}
	if fault := findMisplacedHook(lists); fault != nil {
		return fault
	}
	signs, guards := runsHook(lists, SignHook), runsHook(lists, GuardHook)
	byCertificate := d.UseKeylessAccess && d.UseMutualTLSAuth // GuardUpstream identifies the caller there
	if d.UseKeylessAccess && !byCertificate {
		if !guards && !runsHook(lists, StripHook) {
			return faultf(StripMissing, "the API is keyless, so Tyk does not call %s: list %s in %s", SignHook, StripHook, preList)
		}
		return nil
	}
	if !signs && !guards && !forwardsToUpstreams(c, d) {
		return nil // it does not go to our hosts, and its callers' own headers are removed
	}
	switch {
	case !signs && !byCertificate && mayLackIdentity(c, d):
		return nil
	case !signs && !byCertificate:
		return faultf(SignMissing, "%s does not list %s, without which no request gets a token", postAuthList, SignHook)
	}
	if err := checkGuardIsLast(d); err != nil {
		return faultf(GuardMissing, "%s", err)
	}
	return nil
}

// checkGuardIsLast rejects an API without the hook that puts the token on the request, and an API with
// a plugin after it, which could send the token elsewhere. The lists of a bundle cannot be seen here;
// without the hook there is no token.
func checkGuardIsLast(d *apidef.APIDefinition) error {
	if hasBundle(d) {
		return nil
	}
	last := ""
	for _, hook := range d.CustomMiddleware.Post {
		if !hook.Disabled {
			last = hook.Name
		}
	}
	if last != GuardHook {
		return errors.New("custom_middleware.post: the last hook must be " + GuardHook + ", without which no request gets a token")
	}
	return nil
}

// findMisplacedHook reports a hook that is in a list where it cannot work; nil: every hook can work.
func findMisplacedHook(lists map[string][]string) *hookFault {
	for _, list := range []string{preList, authList, postAuthList, postList, responseList, endpointsList} {
		for i, hook := range lists[list] {
			switch {
			case listOf[hook] != list:
				return faultf(HookList, "%s lists %s, which works in %s only: move it there", list, hook, listOf[hook])
			case slices.Contains(lists[list][:i], hook):
				return faultf(HookList, "%s lists %s twice: remove one of them", list, hook)
			}
		}
	}
	return nil
}

// findHookWithoutPath reports a hook that is listed without the plugin's file: Tyk ignores it.
func findHookWithoutPath(d *apidef.APIDefinition) *hookFault {
	m := d.CustomMiddleware
	for _, list := range []struct {
		name  string
		hooks []apidef.MiddlewareDefinition
	}{{name: preList, hooks: m.Pre}, {name: postAuthList, hooks: m.PostKeyAuth}, {name: postList, hooks: m.Post}} {
		for _, hook := range list.hooks {
			if _, ours := listOf[hook.Name]; ours && !hook.Disabled && hook.Path == "" {
				return faultf(HookList, "%s lists %s without a path, so that Tyk does not run it: name the plugin's file", list.name, hook.Name)
			}
		}
	}
	return nil
}

// listedHooks gives our hooks that are enabled, by the list that names them. A hook without a path is
// not among them: Tyk ignores it.
func listedHooks(d *apidef.APIDefinition) map[string][]string {
	lists := map[string][]string{}
	add := func(list, hook string, disabled bool) {
		if _, ours := listOf[hook]; ours && !disabled {
			lists[list] = append(lists[list], hook)
		}
	}
	m := d.CustomMiddleware
	for list, hooks := range map[string][]apidef.MiddlewareDefinition{
		preList: m.Pre, authList: {m.AuthCheck}, postAuthList: m.PostKeyAuth, postList: m.Post, responseList: m.Response,
	} {
		for _, hook := range hooks {
			add(list, hook.Name, hook.Disabled || hook.Path == "" && listOf[hook.Name] == list)
		}
	}
	for _, version := range d.VersionData.Versions {
		for _, hook := range version.ExtendedPaths.GoPlugin {
			add(endpointsList, hook.SymbolName, hook.Disabled)
		}
	}
	return lists
}

func runsHook(lists map[string][]string, hook string) bool {
	return slices.Contains(lists[listOf[hook]], hook)
}

// isCanary reports whether the canary answers every request of the API.
func isCanary(d *apidef.APIDefinition) bool {
	return d.CustomMiddleware.Driver == apidef.GoPluginDriver && slices.ContainsFunc(d.CustomMiddleware.Pre, func(hook apidef.MiddlewareDefinition) bool {
		return hook.Name == CanaryHook && !hook.Disabled
	})
}

// hasBundle reports whether a bundle replaces the lists: its content cannot be seen.
func hasBundle(d *apidef.APIDefinition) bool {
	return d.CustomMiddlewareBundle != "" && !d.CustomMiddlewareBundleDisabled
}

// forwardsToUpstreams reports whether a target that is written in the definition is a host in
// upstreams. Another API of this gateway (tyk://) is not in upstreams: its own hooks sign.
func forwardsToUpstreams(c *settings.Config, d *apidef.APIDefinition) bool {
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
		return err == nil && u.Scheme != internalScheme && c.UpstreamHosts.Admit(u)
	})
}
