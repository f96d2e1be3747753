// Package tykrules finds faults in API definitions and in the configuration of Tyk's gateway. The facts are those of Tyk 5.8.1.
package tykrules

import (
	"net/url"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var registry = finding.Registry{Area: finding.Tyk}

// Rules are the rules of this package.
func Rules() []*finding.Rule { return registry.Rules }

// checker looks for faults.
type checker struct {
	*model.Model
	report   *finding.Report
	apis     []*model.API // that Tyk runs
	patterns map[string]patternFacts
	now      time.Time
}

// Check looks for all faults.
func Check(m *model.Model, report *finding.Report) {
	c := &checker{Model: m, report: report, apis: m.ServedAPIs(), patterns: map[string]patternFacts{}, now: time.Now()}
	for _, a := range c.apis {
		c.checkHooks(a)
		c.checkAccess(a)
		c.checkHeaders(a)
		c.checkCopies(a)
		c.checkTargets(a)
		c.checkEndpoints(a)
		c.checkServing(a)
		c.checkParts(a)
	}
	for _, manifest := range c.Manifests {
		c.checkManifest(manifest)
	}
	c.checkVersions()
	c.checkListenPaths()
	c.checkRights()
	c.checkPolicies()
	c.checkFiles()
	c.checkGateways()
}

// isOurs reports a target that may get a token: a host in upstreams of the plugin's file, or without such a file a Service of the mesh.
func (c *checker) isOurs(u *url.URL) bool {
	if u == nil {
		return false
	}
	for _, p := range c.Plugins {
		if p.Config.UpstreamHosts.Admit(u) {
			return true
		}
	}
	return c.IsGuardedHost(u.Hostname(), "")
}

// leadsToUs reports an API with a target that may get a token.
func (c *checker) leadsToUs(a *model.API) bool {
	g := c.GatewayOf(a)
	return slices.ContainsFunc(a.Targets, func(t model.Target) bool {
		t.Text = g.Resolve(t.Text)
		return !t.IsInternal() && c.isOurs(t.URL())
	})
}

// at is the place of a value, or of the definition.
func at(a *model.API, n *objects.Node) *objects.Node {
	if n != nil {
		return n
	}
	return a.Root
}
