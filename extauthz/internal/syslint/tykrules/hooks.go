package tykrules

import (
	"maps"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
)

const hooksFix = "Run `meshpass tyk hooks --write FILE`, which lists StripIdentity in pre, SignIdentity in post_key_auth and GuardUpstream last in post."

var (
	hooksMissing = registry.Define("tyk_hooks_missing", finding.Error,
		"An API forwards to a host of ours and does not list all three hooks.",
		"Without StripIdentity a client's own Txn-Token reaches the host; without SignIdentity or GuardUpstream no request gets a token.", hooksFix)
	versionHooks = registry.Define("tyk_version_without_hooks", finding.Error,
		"An API is a version of another one and does not list the hooks itself.",
		"Tyk hands requests of the version over before any hook of the base API runs: a client's own Txn-Token passes.", hooksFix)
	hookList = registry.Define("tyk_hook_list", finding.Error,
		"A hook is in a list where it does not work, twice in its own, without the plugin's file, or in another file than the other hooks.",
		"The plugin denies every request of the API, or Tyk does not run the hook.", hooksFix)
	hookDriver = registry.Define("tyk_driver", finding.Error,
		"An API lists our hooks, and its driver is not goplugin.",
		"Tyk runs no hook: a client's own Txn-Token reaches the upstream.",
		"Set the driver to goplugin.")
	hookProtocol = registry.Define("tyk_protocol", finding.Error,
		"An API with our hooks is not HTTP.",
		"Tyk runs no hooks for TCP and TLS.",
		"Use http, https or h2c.")
	guardNotLast = registry.Define("tyk_guard_not_last", finding.Error,
		"GuardUpstream is not the last hook in post.",
		"The plugin denies every request, because a later plugin could send the token elsewhere.",
		"Move GuardUpstream to the end of the list.")
	pairDiffers = registry.Define("tyk_oas_pair", finding.Error,
		"The two files of an API in OpenAPI form differ, or one is missing.",
		"Tyk runs by the classic file and shows the plugin the other one.",
		"Let Tyk write both: PUT /tyk/apis/oas.")
)

func (c *checker) checkHooks(a *model.API) {
	names := hooks.ClassicNames
	if a.Form == model.OpenAPI {
		names = hooks.OpenNames
	}
	c.checkPair(a)
	if a.Bundle != nil {
		return // a bundle replaces the lists
	}
	if text := a.Hooks.FindWithoutPath(names); text != "" {
		c.report.Add(hookList, c.hookNode(a), "%s", text)
		return
	}
	working := a.Hooks.Working()
	if len(working) > 0 && a.Driver.String() != hooks.Driver {
		c.report.Add(hookDriver, at(a, a.Driver), "API %s: the driver is %q", a.Title(), a.Driver.String())
		return
	}
	if protocol := a.Protocol.String(); len(working) > 0 && protocol != "" && protocol != "http" && protocol != "https" && protocol != "h2c" {
		c.report.Add(hookProtocol, a.Protocol, "API %s: protocol %s", a.Title(), protocol)
		return
	}
	if text := hooks.FindMisplaced(working, names); text != "" {
		c.report.Add(hookList, c.misplacedNode(a), "%s", text)
		return
	}
	if n, path := c.otherFile(a); n != nil {
		c.report.Add(hookList, n, "API %s: this hook is in the file %s, and the first one in another file", a.Title(), path)
		return
	}
	if a.IsCanary() || c.isChild(a) {
		return
	}
	if missing := c.missingHooks(a); missing != "" {
		c.report.Add(hooksMissing, at(a, c.hookSection(a)), "API %s: %s", a.Title(), missing)
		return
	}
	if a.Runs(hooks.Guard) && !a.Hooks.GuardIsLast() {
		c.report.Add(guardNotLast, c.hookNode(a), "API %s: another plugin runs after GuardUpstream", a.Title())
	}
}

// checkManifest checks the hooks of a bundle, which replace those of every API that names it. A bundle without hooks of ours is another one.
func (c *checker) checkManifest(a *model.API) {
	working := a.Hooks.Working()
	if len(working) == 0 {
		return
	}
	if a.Driver.String() != hooks.Driver {
		c.report.Add(hookDriver, at(a, a.Driver), "the bundle: the driver is %q", a.Driver.String())
	}
	if text := hooks.FindMisplaced(working, hooks.ClassicNames); text != "" {
		c.report.Add(hookList, c.misplacedNode(a), "the bundle: %s", text)
		return
	}
	for _, hook := range []string{hooks.Strip, hooks.Sign, hooks.Guard} {
		if !a.Runs(hook) {
			c.report.Add(hooksMissing, a.Root.Find("custom_middleware"), "the bundle does not list %s", hook)
			return
		}
	}
	if !a.Hooks.GuardIsLast() {
		c.report.Add(guardNotLast, c.hookNode(a), "the bundle: another plugin runs after GuardUpstream")
	}
}

// hookLists are the lists of our hooks.
var hookLists = []hooks.List{hooks.Pre, hooks.PostAuth, hooks.Post}

// otherFile finds a hook of ours with another file than the first one: Tyk loads each file by its path.
func (c *checker) otherFile(a *model.API) (at *objects.Node, path string) {
	file := ""
	for _, list := range hookLists {
		for i, e := range a.Hooks[list] {
			if _, ours := hooks.ListOf[e.Name]; !ours || e.Disabled {
				continue
			}
			if file == "" {
				file = e.Path
			}
			if e.Path != file {
				return a.HookNodes[list][i], e.Path
			}
		}
	}
	return nil, ""
}

// missingHooks describes the hook that an API lacks; "": it needs no other. Without a token nothing is lost if the API leads to no host of ours.
func (c *checker) missingHooks(a *model.API) string {
	ours := c.leadsToUs(a)
	if !ours && !a.Runs(hooks.Sign) && !a.Runs(hooks.Guard) {
		return ""
	}
	byCertificate := a.Keyless && a.MutualTLS
	if a.Keyless && !byCertificate {
		if ours && !a.Runs(hooks.Strip) && !a.Runs(hooks.Guard) {
			return "it is keyless and does not list StripIdentity"
		}
		return ""
	}
	switch {
	case !a.Runs(hooks.Strip):
		return "it does not list StripIdentity"
	case !a.Runs(hooks.Sign) && !byCertificate && !c.mayLackIdentity(a):
		return "it does not list SignIdentity"
	case !a.Runs(hooks.Guard) && !c.mayLackIdentity(a):
		return "it does not list GuardUpstream"
	}
	return ""
}

// mayLackIdentity reports an API whose requests may go on without a token, by its own settings and the plugin's file.
func (c *checker) mayLackIdentity(a *model.API) bool {
	return a.OptionalUser && c.isPermitted(a, func(p *model.Plugin) []string { return p.Config.Allow.OptionalIdentity })
}

// isPermitted reports whether a plugin's file lists the API.
func (c *checker) isPermitted(a *model.API, list func(*model.Plugin) []string) bool {
	for _, p := range c.Plugins {
		for _, id := range list(p) {
			if id == a.ID {
				return true
			}
		}
	}
	return false
}

func (c *checker) hookSection(a *model.API) *objects.Node {
	if a.Form == model.OpenAPI {
		return a.Root.FindFold("middleware", "global")
	}
	return a.Root.FindFold("custom_middleware")
}

// hookNode is the first entry with a hook of ours.
func (c *checker) hookNode(a *model.API) *objects.Node {
	for _, list := range []hooks.List{hooks.Post, hooks.PostAuth, hooks.Pre} {
		for _, n := range a.HookNodes[list] {
			return n
		}
	}
	return at(a, c.hookSection(a))
}

// misplacedNode is the entry of a hook outside its own list, or its second entry.
func (c *checker) misplacedNode(a *model.API) *objects.Node {
	for _, list := range slices.Sorted(maps.Keys(a.Hooks)) {
		seen := map[string]bool{}
		for i, e := range a.Hooks[list] {
			if own, ours := hooks.ListOf[e.Name]; ours && !e.Disabled && (own != list || seen[e.Name]) {
				return a.HookNodes[list][i]
			}
			seen[e.Name] = true
		}
	}
	return c.hookNode(a)
}

func (c *checker) checkPair(a *model.API) {
	switch {
	case a.Form == model.OpenAPI && a.FromFile && a.Object == nil && a.Pair == nil && len(c.Gateways) > 0 && a.Content.Holder != "" && !c.loadsFromDashboard(a):
		c.report.Add(pairDiffers, a.Root, "API %s: Tyk skips a file of the OpenAPI form without its classic one", a.Title())
	case a.IsPair && a.Pair == nil && a.FromFile:
		c.report.Add(pairDiffers, at(a, a.Root.FindFold("is_oas")), "API %s: the file of its OpenAPI form is not in the input", a.Title())
	case a.Pair != nil && !sameHooks(a, a.Pair):
		c.report.Add(pairDiffers, c.hookNode(a), "API %s: the two files list different hooks", a.Title())
	}
}

func (c *checker) loadsFromDashboard(a *model.API) bool {
	return c.GatewayOf(a).IsOn("use_db_app_configs")
}

func sameHooks(a, b *model.API) bool {
	for _, name := range []string{hooks.Strip, hooks.Sign, hooks.Guard} {
		if a.Runs(name) != b.Runs(name) {
			return false
		}
	}
	return true
}

// isChild reports a version of another API, which has a rule of its own.
func (c *checker) isChild(a *model.API) bool {
	for _, base := range c.apis {
		for _, child := range base.Children {
			if found := c.FindAPI(child.String()); found != nil && found.ID == a.ID {
				return true
			}
		}
	}
	return false
}

// checkVersions checks the versions that are APIs of their own.
func (c *checker) checkVersions() {
	for _, base := range c.apis {
		for _, id := range base.Children {
			child := c.FindAPI(id.String())
			if child == nil {
				c.report.Add(versionUnknown, id, "API %s has a version %q, which no definition has", base.Title(), id.String())
				continue
			}
			if child.Bundle != nil || child.IsCanary() {
				continue
			}
			if missing := c.missingHooks(child); missing != "" {
				c.report.Add(versionHooks, at(child, c.hookSection(child)), "API %s, a version of %s: %s", child.Title(), base.Title(), missing)
			}
		}
	}
}
