package crossrules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/expr"
)

// checkConstants looks up the names and numbers that conditions compare values with, as it does with those in from, to and scopes.
func (c *checker) checkConstants() {
	for _, d := range c.Documents {
		ports := c.portsBehind(d)
		for _, r := range d.Compiled.Rules() {
			at, name := ruleNode(d, r), d.Name+"/"+r.Spec().Name
			for _, constant := range constantsOf(r) {
				c.checkConstant(d, at, name, constant, ports)
			}
		}
	}
}

// constantsOf are the constants of a rule's when and claims.
func constantsOf(r *policy.Rule) (all []expr.Constant) {
	if e := r.Expression(); e != nil {
		all = append(all, e.Constants()...)
	}
	for _, condition := range r.Conditions() {
		if claim, isClaim := condition.(*policy.Claim); isClaim {
			for _, value := range claim.Values() {
				all = append(all, expr.Constant{Name: "claims." + claim.Name(), Text: fmt.Sprint(value)})
			}
		}
	}
	return all
}

func (c *checker) checkConstant(d *model.Document, at *objects.Node, rule string, constant expr.Constant, ports []int) {
	if constant.Name == "claims.sub" {
		c.checkSubject(at, rule, constant)
		return
	}
	if constant.Prefix {
		return
	}
	text := constant.Text
	switch constant.Name {
	case "caller":
		c.checkCaller(at, rule, text)
	case "request.port":
		if number, _ := strconv.Atoi(text); len(ports) > 0 && !slices.Contains(ports, number) {
			c.report.Add(ruleAddress, at, "rule %s names the port %s, and the targets have %v", rule, text, ports)
		}
	case "request.host":
		c.checkHostName(rule, at, text)
	case "claims.iss":
		if issuers := c.trustedIssuers(); len(issuers) > 0 && !slices.Contains(issuers, text) {
			c.report.Add(ruleIssuer, at, "rule %s names the issuer %s, which no authorizer trusts%s", rule, text, suggest.DidYouMean(text, issuers))
		}
	case "claims.aud":
		c.checkValue(at, rule, constant, c.valuesOfTrust("audience"))
	case "claims.req_wl":
		if c.knowsAllIssuers() {
			var workloads []string
			for _, p := range c.Plugins {
				workloads = append(workloads, p.Config.Workload)
			}
			c.checkValue(at, rule, constant, workloads)
		}
	case "claims.tctx.auth":
		if c.knowsAllIssuers() {
			c.checkValue(at, rule, constant, authValues)
		}
	case "claims.tctx.api.id":
		if c.knowsAllIssuers() {
			c.checkValue(at, rule, constant, c.apiIDs())
		}
	}
}

// authValues are the kinds of authentication that the plugin writes into tctx.auth.
var authValues = []string{"key", "jwt", "oidc", "oauth", "basic", "hmac", "mtls", "custom"}

func (c *checker) checkValue(at *objects.Node, rule string, constant expr.Constant, known []string) {
	if len(known) > 0 && !slices.Contains(known, constant.Text) {
		c.report.Add(claimUnmapped, at, "rule %s compares %s with %q, which no token has%s", rule, constant.Name, constant.Text, suggest.DidYouMean(constant.Text, known))
	}
}

// checkSubject looks up the namespace of a subject.
func (c *checker) checkSubject(at *objects.Node, rule string, constant expr.Constant) {
	name, _, isSubject := strings.Cut(constant.Text, ":")
	if !isSubject || len(c.Plugins) == 0 {
		return
	}
	var known []string
	for _, p := range c.Plugins {
		for _, n := range namespacesOf(p) {
			known = append(known, n.name)
		}
	}
	for _, a := range c.Authorizers {
		for _, t := range a.Trust {
			switch {
			case c.signsFor(t.Issuer.String()):
			case t.Subjects == nil:
				return // a gateway of another installation may assert any subject
			default:
				known = append(known, t.Subjects.Texts()...)
			}
		}
	}
	if !slices.Contains(known, name) {
		c.report.Add(claimUnmapped, at, "rule %s compares claims.sub with %q, and no subject has the namespace %s%s", rule, constant.Text, name, suggest.DidYouMean(name, known))
	}
}

func (c *checker) trustedIssuers() (all []string) { return c.valuesOfTrust("issuer") }

func (c *checker) valuesOfTrust(member string) (all []string) {
	for _, a := range c.Authorizers {
		for _, t := range a.Trust {
			all = append(all, t.Node.Find(member).String())
		}
	}
	return all
}

// signsFor reports a plugin of the input with an issuer.
func (c *checker) signsFor(issuer string) bool {
	return slices.ContainsFunc(c.Plugins, func(p *model.Plugin) bool { return p.Config.Issuer == issuer })
}

// knowsAllIssuers reports an input with the plugins of all issuers that authorizers trust.
func (c *checker) knowsAllIssuers() bool {
	return len(c.Plugins) > 0 && !slices.ContainsFunc(c.trustedIssuers(), func(issuer string) bool { return !c.signsFor(issuer) })
}

// checkIdentityHeaders looks up the claims that authorizers write into headers.
func (c *checker) checkIdentityHeaders() {
	if len(c.Plugins) == 0 {
		return
	}
	var members []string
	for _, p := range c.Plugins {
		members = append(members, p.Config.Members()...)
	}
	for _, a := range c.Authorizers {
		for _, n := range a.Root.Find("identityHeaders").Members() {
			name, isMember := strings.CutPrefix(n.String(), "tctx.")
			if root, _, _ := strings.Cut(name, "."); isMember && !slices.Contains(members, name) && !slices.Contains(members, root) && !slices.Contains(ownMembers, root) {
				c.report.Add(claimUnmapped, n, "the header %s has the claim tctx.%s, which no mapping writes%s", n.Key, name, suggest.DidYouMean(name, members))
			}
		}
	}
}

// isDropped reports a claim or a scope that no API leaves in its tokens: each one lists others in its own settings.
func (c *checker) isDropped(list, name string) bool {
	found := false
	for _, a := range c.served {
		if a.IsCanary() || !a.Runs(hooks.Sign) {
			continue
		}
		own := a.Narrowing.Find(list)
		if own == nil || a.DataDisabled || slices.Contains(own.Texts(), name) {
			return false
		}
		found = true
	}
	return found
}

// checkNoPrincipal finds rules that ask for a caller without a name where each caller can have one, and the other way round.
func (c *checker) checkNoPrincipal() {
	for _, d := range c.Documents {
		if len(c.Authorizers) == 0 {
			return
		}
		named, unnamed := 0, 0
		targets := d.Spec().FindPath("targets", "workloads").Texts()
		for _, target := range targets {
			switch {
			case strings.HasPrefix(target, "edge/"):
				unnamed++
			case strings.HasPrefix(target, "ns/") && !c.hasListener(func(l model.Listener) bool { return l.Callee == "principal" && l.Caller == "none" }),
				strings.HasPrefix(target, "service/") && !c.hasListener(func(l model.Listener) bool { return l.Callee == "service" && l.Caller == "none" }):
				named++
			case strings.HasPrefix(target, "gateway/") && c.hasListener(func(l model.Listener) bool { return l.Callee == target }):
				if !c.hasListener(func(l model.Listener) bool { return l.Callee == target && l.Caller == "none" }) {
					named++
				} else if !c.hasListener(func(l model.Listener) bool { return l.Callee == target && l.Caller != "none" }) {
					unnamed++
				}
			}
		}
		for _, rule := range d.Spec().Find("rules").Entries() {
			from, name := rule.Find("from"), d.Name+"/"+rule.Find("name").String()
			if n := from.Find("noPrincipal"); n.IsTrue() && named > 0 && named == len(targets) {
				c.report.Add(callerUnknown, n, "rule %s asks for a caller that cannot have a name, and its targets are asked about by proxies that name callers", name)
			}
			if n := from.Find("workloads"); !n.IsEmpty() && unnamed > 0 && unnamed == len(targets) {
				c.report.Add(callerUnknown, n, "rule %s names callers, and the listener of its targets knows none (caller: none)", name)
			}
		}
	}
}

func (c *checker) hasListener(is func(model.Listener) bool) bool {
	return slices.ContainsFunc(c.Authorizers, func(a *model.AuthorizerConfig) bool { return slices.ContainsFunc(a.Listeners, is) })
}
