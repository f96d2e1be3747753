// Package cases is `meshpass policy test`: it decides the requests of test cases, and
// compares the answers with the expected ones. Cases are in YAML files beside the
// policies:
//
//	apiVersion: meshpass.dev/v1
//	kind: PolicyTest
//	users:
//	  alice: {sub: okta:alice, scope: orders.read, tctx: {tenant: acme}}
//	defaults: {caller: ns/edge/sa/tyk-gateway, callee: ns/shop/sa/orders}
//	cases:
//	  - name: alice reads an order of her tenant
//	    user: alice
//	    request: {method: GET, path: /tenants/acme/orders/1}
//	    expect: {decision: allow, reason: rule_allowed, rule: orders/read-own-tenant}
//
// A case without user, claims or token is a request without a token. Fields that expect
// leaves out are not compared.
package cases

import (
	"errors"
	"regexp"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Options choose the cases, and the coverage that they must reach.
type Options struct {
	NamePattern *regexp.Regexp // for the names of the cases; nil: all cases, and coverage is measured
	MinCoverage int            // in percent
}

// ErrNoCases is the error of sources without a case, or without one of a matching name.
var ErrNoCases = errors.New("no case in files *_test.yaml or *.test.yaml: docs/policy-tools.md shows how to write one")

// Run decides the cases below the folders of a source. It is an error if a document or
// a case cannot be used, if a case proves nothing (see [CheckMeaning]), or if there is
// no case.
func Run(source policycli.DocumentSource, o Options) (Report, error) {
	dirs, err := source.OpenFolders()
	if err != nil {
		return Report{}, err
	}
	var all []Case
	var problems strictyaml.Problems
	for _, dir := range dirs {
		found, wrong := ReadFolder(dir, source.Domains)
		all, problems = append(all, found...), append(problems, wrong...)
	}
	if err := problems.Err(); err != nil {
		return Report{}, err
	}
	set, err := source.LoadFolders(dirs)
	if err != nil {
		return Report{}, err
	}
	if err := CheckMeaning(set, all).Err(); err != nil {
		return Report{}, err
	}
	if o.NamePattern != nil {
		all = slices.DeleteFunc(all, func(c Case) bool { return !o.NamePattern.MatchString(c.Name) })
	}
	if len(all) == 0 {
		return Report{}, ErrNoCases
	}
	report := runCases(set, all)
	if o.NamePattern == nil {
		report.Coverage = measureCoverage(set, report.Cases, o.MinCoverage)
	}
	return report, nil
}

func runCases(set *policy.Set, all []Case) Report {
	report := Report{Cases: make([]Result, len(all))}
	for i, c := range all {
		report.Cases[i] = c.runAgainst(set)
		if !report.Cases[i].Passed {
			report.Failed++
		}
	}
	return report
}

func (c Case) runAgainst(set *policy.Set) Result {
	d := c.decideBy(set)
	r := Result{File: c.File, Line: c.Position.Line, Name: c.Name, Differences: c.Expect.compareWith(d), decision: d}
	if r.Passed = len(r.Differences) == 0; !r.Passed {
		r.Near = explainRules(set, set.Explain(c.Request, c.authenticate))
	}
	return r
}

// measureCoverage counts the rules and public entries that decided a case that passed,
// in shadow or not. The rule that decided a case that failed was not the expected one.
func measureCoverage(set *policy.Set, results []Result, minPercent int) *Coverage {
	type ruleKey struct{ folder, policy, rule string }
	decided := map[ruleKey]bool{}
	for _, r := range results {
		if !r.Passed {
			continue
		}
		for d := &r.decision; d != nil; d = d.Shadow {
			if d.Reason != decision.ConditionError { // then the rule could not be evaluated
				decided[ruleKey{d.Folder, d.Policy, d.Rule}] = true
			}
		}
	}
	c := Coverage{Want: minPercent}
	for _, rule := range set.Rules() {
		if c.Rules++; decided[ruleKey{rule.Folder, rule.Policy, rule.Rule}] {
			c.Decided++
		} else {
			c.Never = append(c.Never, rule)
		}
	}
	return &c
}
