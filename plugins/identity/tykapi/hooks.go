package tykapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
)

// The names under which API definitions list the hooks of the plugin.
const (
	StripHook  = hooks.Strip
	SignHook   = hooks.Sign
	GuardHook  = hooks.Guard
	CanaryHook = hooks.Canary
)

// The lists of a classic definition that messages name.
var (
	preList      = hooks.ClassicNames[hooks.Pre]
	postAuthList = hooks.ClassicNames[hooks.PostAuth]
	postList     = hooks.ClassicNames[hooks.Post]
)

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
	Canary       bool  // StripIdentity answers for the canary; Err is a fault of the canary's hooks
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
	check, found := c.known.find(d)
	if !found {
		check = c.checkHooks(d.cloneClassic())
		if check.Err != nil {
			c.log.Error("requests of this API are denied until its definition is fixed", "api", d.ID, "error", check.Err.Error())
		}
		c.known.keep(d, check)
	}
	return check
}

func (c *HookChecks) checkHooks(d *apidef.APIDefinition) (result HookCheck) {
	if own, err := readNarrowing(d); err == nil && own.Canary {
		return HookCheck{Err: checkCanaryHooks(d), Canary: true}
	}
	lists, keyless := listedHooks(d), d.UseKeylessAccess
	signs, guards := runsHook(lists, SignHook) && !keyless, runsHook(lists, GuardHook)
	result.CheckedLater = signs || guards
	if c.broken != nil {
		if !hidesLists(d) && !signs && (!keyless || d.UseMutualTLSAuth) {
			result.Err = c.broken // without a configuration it is unknown whether it forwards to our hosts
		}
		return result
	}
	if fault := findHookFault(c.config, d); fault != nil {
		result.Err = denial.New(fault.reason(), "API %s: %w", d.APIID, fault)
	}
	return result
}

// checkCanaryHooks rejects a canary whose hooks do not protect an API that has the same lists, such as the
// lists of a bundle: Tyk verifies the files of a bundle, and not which hooks its manifest lists.
func checkCanaryHooks(d *apidef.APIDefinition) error {
	if hidesLists(d) {
		return denial.New(decision.ConfigInvalid, "API %s: the canary of a bundle needs a classic definition: the OpenAPI form does not show the hooks of a bundle", d.APIID)
	}
	if fault := findHookWithoutPath(d); fault != nil {
		return denial.New(fault.reason(), "API %s: %w", d.APIID, fault)
	}
	lists := listedHooks(d)
	if misplaced := hooks.FindMisplaced(lists, hooks.ClassicNames); misplaced != "" {
		return denial.New(decision.ConfigInvalid, "API %s: %s", d.APIID, misplaced)
	}
	for _, hook := range []string{StripHook, SignHook, GuardHook} {
		if !runsHook(lists, hook) {
			return denial.New(decision.ConfigInvalid, "API %s: %s does not list %s: list all three hooks for the canary too, or use a bundle of `meshpass tyk bundle build`",
				d.APIID, hooks.ClassicNames[hooks.ListOf[hook]], hook)
		}
	}
	if err := checkGuardIsLast(d); err != nil {
		return denial.New(decision.ConfigInvalid, "API %s: %w", d.APIID, err)
	}
	return nil
}

// findHookFault reports why requests of the API would go on without a token, or with a client's own;
// nil: they would not, as far as the definition shows, or it has no hook of ours. The caller knows
// that Tyk runs the hooks. The zero configuration has no upstreams.
func findHookFault(c *settings.Config, d *apidef.APIDefinition) *hookFault {
	if hidesLists(d) {
		return nil
	}
	if fault := findHookWithoutPath(d); fault != nil {
		return fault
	}
	lists := listedHooks(d)
	if len(lists) == 0 {
		return nil
	}
	if misplaced := hooks.FindMisplaced(lists, hooks.ClassicNames); misplaced != "" {
		return faultf(HookList, "%s", misplaced)
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
// a plugin after it, which could send the token elsewhere. Without the hook there is no token.
func checkGuardIsLast(d *apidef.APIDefinition) error {
	if hidesLists(d) {
		return nil
	}
	if !entriesOf(d).GuardIsLast() {
		return errors.New(postList + ": the last hook must be " + GuardHook + ", without which no request gets a token")
	}
	return nil
}

// findHookWithoutPath reports a hook that is listed without the plugin's file: Tyk ignores it.
func findHookWithoutPath(d *apidef.APIDefinition) *hookFault {
	if text := entriesOf(d).FindWithoutPath(hooks.ClassicNames); text != "" {
		return faultf(HookList, "%s", text)
	}
	return nil
}

// listedHooks gives our hooks that Tyk runs, by the list that names them.
func listedHooks(d *apidef.APIDefinition) map[hooks.List][]string { return entriesOf(d).Working() }

// entriesOf gives all entries of the definition's lists.
func entriesOf(d *apidef.APIDefinition) hooks.Listed {
	listed, m := hooks.Listed{}, d.CustomMiddleware
	for list, entries := range map[hooks.List][]apidef.MiddlewareDefinition{
		hooks.Pre: m.Pre, hooks.AuthCheck: {m.AuthCheck}, hooks.PostAuth: m.PostKeyAuth, hooks.Post: m.Post, hooks.Response: m.Response,
	} {
		for _, e := range entries {
			listed[list] = append(listed[list], hooks.Entry{Name: e.Name, Path: e.Path, Disabled: e.Disabled})
		}
	}
	for _, version := range d.VersionData.Versions {
		for _, e := range version.ExtendedPaths.GoPlugin {
			listed[hooks.Endpoints] = append(listed[hooks.Endpoints], hooks.Entry{Name: e.SymbolName, Path: e.PluginPath, Disabled: e.Disabled})
		}
	}
	return listed
}

func runsHook(lists map[hooks.List][]string, hook string) bool {
	return slices.Contains(lists[hooks.ListOf[hook]], hook)
}

// isCanary reports whether the canary answers every request of the API.
func isCanary(d *apidef.APIDefinition) bool {
	return d.CustomMiddleware.Driver == apidef.GoPluginDriver && slices.ContainsFunc(d.CustomMiddleware.Pre, func(hook apidef.MiddlewareDefinition) bool {
		return hook.Name == CanaryHook && !hook.Disabled
	})
}

// hidesLists reports whether Tyk runs other lists than the definition of a request shows. Tyk writes the lists of a
// bundle into the classic definition, and not into the OpenAPI form (measured on 5.8.1).
func hidesLists(d *apidef.APIDefinition) bool { return d.IsOAS && hasBundle(d) }

// hasBundle reports whether a bundle replaces the lists of a definition in a file: its content cannot be seen there.
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
