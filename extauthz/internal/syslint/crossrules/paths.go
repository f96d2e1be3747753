package crossrules

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
)

var rulePath = registry.Define("rule_path_unreachable", finding.Error,
	"A rule for requests of Tyk's gateway has a path that no API can lead to: the listen path is missing in it, or the path of the target.",
	"The rule never matches.",
	"Write paths of edge documents as clients write them, with the listen path. A workload sees the path of the target, and the listen path unless strip_listen_path is set.")

// checkRulePaths compares the paths of rules with those that the APIs of a gateway can send.
func (c *checker) checkRulePaths() {
	byAccount, byID := map[string][]*model.API{}, map[string][]*model.API{}
	for _, a := range c.served {
		byID["edge/"+a.ID] = append(byID["edge/"+a.ID], a)
		for _, w := range c.targetsOf(a) {
			byAccount[w.Identity()] = append(byAccount[w.Identity()], a)
		}
	}
	for _, d := range c.Documents {
		prefixes, known := c.prefixesFor(d, byAccount, byID)
		if !known {
			continue
		}
		for _, rule := range slices.Concat(d.Spec().Find("public").Entries(), d.Spec().Find("rules").Entries()) {
			paths := rule.FindPath("to", "paths")
			if rule.Find("paths") != nil {
				paths = rule.Find("paths")
			}
			if !c.isForGateways(d, rule) {
				continue
			}
			for _, n := range paths.Entries() {
				if !slices.ContainsFunc(prefixes, func(prefix string) bool { return mayBegin(n.String(), prefix) }) {
					c.report.Add(rulePath, n, "document %s: no API leads to %s; their paths begin with %s", d.Name, n.String(), strings.Join(prefixes, ", "))
				}
			}
		}
	}
}

// mayBegin reports a pattern of paths with one that begins with a prefix. The path without the last slash of a prefix counts too.
func mayBegin(pattern, prefix string) bool {
	literal := literalPrefix(pattern)
	if literal == pattern {
		return strings.HasPrefix(pattern+"/", prefix)
	}
	return strings.HasPrefix(literal, prefix) || strings.HasPrefix(prefix, literal)
}

// literalPrefix is the beginning of a pattern of paths up to its first part that is no literal.
func literalPrefix(pattern string) string {
	if i := strings.IndexAny(pattern, "{*"); i >= 0 {
		return pattern[:i]
	}
	return pattern
}

func isEdge(d *model.Document) bool {
	return slices.ContainsFunc(d.Spec().FindPath("targets", "workloads").Texts(), func(text string) bool { return strings.HasPrefix(text, "edge/") })
}

// isForGateways reports a rule that only gateways of Tyk can match.
func (c *checker) isForGateways(d *model.Document, rule *objects.Node) bool {
	if isEdge(d) {
		return true
	}
	callers := rule.FindPath("from", "workloads").Texts()
	return len(callers) > 0 && !slices.ContainsFunc(callers, func(text string) bool {
		return !slices.ContainsFunc(c.Plugins, func(p *model.Plugin) bool { return strings.HasSuffix(p.Config.Workload, "/"+text) })
	})
}

// prefixesFor gives what the paths of requests begin with that APIs send to the targets of a document, or that clients send to its APIs. known is
// false if some cannot be known: URL rewriting, versions and loops write any path.
func (c *checker) prefixesFor(d *model.Document, byAccount, byID map[string][]*model.API) (prefixes []string, known bool) {
	for _, target := range d.Spec().FindPath("targets", "workloads").Texts() {
		for _, a := range byID[target] {
			if a.Internal || c.isLoopedTo(a) {
				return nil, false
			}
			prefixes = append(prefixes, literalPrefix(a.ListenPathText()), "/"+a.ID+"/")
		}
		for _, a := range byAccount[target] {
			if c.rewrites(a) {
				return nil, false
			}
			prefixes = append(prefixes, upstreamPrefixes(a)...)
		}
		if len(byID[target])+len(byAccount[target]) == 0 {
			return nil, false
		}
	}
	slices.Sort(prefixes)
	return slices.Compact(prefixes), len(prefixes) > 0
}

// upstreamPrefixes gives what the paths of an API's requests begin with at its targets.
func upstreamPrefixes(a *model.API) (all []string) {
	for _, t := range a.Targets {
		u := t.URL()
		if u == nil || t.What == "proxy_url" {
			continue
		}
		base := strings.TrimSuffix(u.Path, "/") + "/"
		if a.StripsPath {
			all = append(all, base)
		} else {
			all = append(all, strings.TrimSuffix(base, "/")+literalPrefix(a.ListenPathText()), base+a.ID+"/")
		}
	}
	return all
}

// findLoops finds the APIs that get requests of other APIs: as their version, or by tyk://. Any API may be meant by a loop.
func (c *checker) findLoops() {
	c.loopedTo = map[string]bool{}
	for _, a := range c.APIs {
		for _, id := range a.Children {
			if child := c.FindAPI(id.String()); child != nil {
				c.loopedTo[child.ID] = true
			}
		}
		if slices.ContainsFunc(a.Targets, model.Target.IsInternal) || a.Root.FindFold("proxy", "target_internal") != nil {
			c.loopedTo[anyAPI] = true
		}
	}
}

const anyAPI = "*"

func (c *checker) isLoopedTo(a *model.API) bool { return c.loopedTo[anyAPI] || c.loopedTo[a.ID] }

// rewrites reports an API whose requests can have any path at the upstream.
func (c *checker) rewrites(a *model.API) bool {
	return a.Discovery != nil || a.GraphQL != nil || c.isLoopedTo(a) || len(a.Versions) > 1 || slices.ContainsFunc(a.Endpoints, func(e model.Endpoint) bool { return e.Kind == model.Rewritten || e.Kind == model.Other }) ||
		slices.ContainsFunc(a.Targets, func(t model.Target) bool {
			return t.HasVariableHost() || strings.Contains(t.Text, "$") || strings.Contains(t.Text, "env://")
		}) ||
		slices.ContainsFunc(a.Hooks[hooks.Pre], isForeign) || slices.ContainsFunc(a.Hooks[hooks.Post], isForeign) || slices.ContainsFunc(a.Hooks[hooks.PostAuth], isForeign)
}

func isForeign(e hooks.Entry) bool {
	_, ours := hooks.ListOf[e.Name]
	return !ours && !e.Disabled
}

// targetsOf gives the workloads that an API leads to.
func (c *checker) targetsOf(a *model.API) (all []*model.Workload) {
	g := c.GatewayOf(a)
	for _, t := range a.Targets {
		t.Text = g.Resolve(t.Text)
		u := t.URL()
		if u == nil {
			continue
		}
		for _, h := range c.FindHosts(u.Hostname(), a.Namespace) {
			all = append(all, c.WorkloadsOf(h)...)
		}
	}
	return all
}
