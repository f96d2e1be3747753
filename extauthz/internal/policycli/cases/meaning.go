package cases

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// CheckMeaning returns a problem for each case that passes or fails whatever the
// documents say: its callee is targeted by no document, or it expects a document
// or a rule that does not exist. A case may expect that nobody guards its callee,
// by the reason unguarded or unenforced.
func CheckMeaning(set *policy.Set, all []Case) strictyaml.Problems {
	known := ruleNames(set)
	var problems strictyaml.Problems
	for i := range all {
		for _, message := range all[i].findProblems(set, known) {
			problems = append(problems, strictyaml.Problem{File: all[i].File, Position: all[i].Position, Message: fmt.Sprintf("case %q: %s", all[i].Name, message)})
		}
	}
	return problems
}

func (c *Case) findProblems(set *policy.Set, known []string) []string {
	var all []string
	if message := c.checkCallee(set); message != "" {
		all = append(all, message)
	}
	all = append(all, c.checkDenial(set)...)
	if c.Expect.Rule != "" {
		all = append(all, checkRuleName("expect.rule", c.Expect.Rule, known)...)
	}
	for _, line := range c.Expect.Shadow {
		if rule, ok := parseShadow(line); !ok {
			all = append(all, fmt.Sprintf("expect.shadow %q: want DECISION REASON, or DECISION REASON DOCUMENT/RULE, as in the audit record", line))
		} else if rule != "" {
			all = append(all, checkRuleName("expect.shadow", rule, known)...)
		}
	}
	return all
}

// checkCallee says why a denial of the case proves nothing about its callee:
// no document targets it, or only guardrails do and the case does not say which
// rule or reason it expects.
func (c *Case) checkCallee(set *policy.Set) string {
	callee, reason := c.Request.Callee, decision.Reason(c.Expect.Reason)
	if callee == "" || reason == decision.Unguarded || reason == decision.Unenforced {
		return ""
	}
	documents, names := set.Targeting(callee), policycli.TargetNames(set)
	onlyGuardrails := !slices.ContainsFunc(documents, func(d policy.DocumentInfo) bool { return !d.Guardrail })
	switch {
	case len(documents) == 0:
		return fmt.Sprintf("no document targets the callee %s%s; targets are %s. If the callee is meant, expect the reason %s",
			callee, suggest.DidYouMean(string(callee), names), policycli.JoinNames(names), decision.Unguarded)
	case onlyGuardrails && c.Expect.Decision == "deny" && c.Expect.Rule == "" && reason == "":
		return fmt.Sprintf("only guardrails target the callee %s%s, so every request to it is denied; expect a rule or a reason too",
			callee, suggest.DidYouMean(string(callee), names))
	}
	return ""
}

// checkDenial says why the case is denied whatever the rules say, where it does not
// say that it expects so: by a reason, a rule, or what is in shadow.
func (c *Case) checkDenial(set *policy.Set) []string {
	if c.Request.Method == "" || c.Request.Path == "" { // reported already
		return nil
	}
	if c.Expect.Decision != "deny" || c.Expect.Reason != "" || c.Expect.Rule != "" || len(c.Expect.Shadow) > 0 || len(set.Targeting(c.Request.Callee)) == 0 {
		return nil
	}
	switch d := c.decideBy(set); {
	case d.Reason == decision.AmbiguousPath || d.Reason == decision.AmbiguousMethod || d.Reason == decision.AmbiguousHost:
		return []string{fmt.Sprintf("the request can be read in two ways, so it is denied whatever the rules say; expect the reason %s if that is meant", d.Reason)}
	case d.Reason == decision.Unguarded:
		return []string{fmt.Sprintf("only documents in shadow target the callee %s, so every request to it is denied; expect the reason %s, or what is in shadow", c.Request.Callee, d.Reason)}
	case d.Reason == decision.NoRule:
		return c.checkCaller(set)
	}
	return nil
}

// checkCaller finds a caller that no rule names and that is one slip away from one
// that a rule names. No rule allows it, whatever else the case is about.
func (c *Case) checkCaller(set *policy.Set) []string {
	var names []string
	for _, p := range set.Callers() {
		if c.Request.Caller == "" || p.Match(c.Request.Caller) {
			return nil
		}
		names = append(names, p.String())
	}
	if meant := suggest.DidYouMean(string(c.Request.Caller), names); meant != "" {
		return []string{fmt.Sprintf("no rule names the caller %s%s. If the caller is meant, expect the reason %s", c.Request.Caller, meant, decision.NoRule)}
	}
	return nil
}

func checkRuleName(field, name string, known []string) []string {
	if slices.Contains(known, name) {
		return nil
	}
	return []string{fmt.Sprintf("%s %q: no document has such a rule%s", field, name, suggest.DidYouMean(name, known))}
}

// parseShadow returns the rule, DOCUMENT/RULE or DOCUMENT, of a line such as
// "deny rule_denied orders/no-batch"; it is empty where the line names none.
func parseShadow(line string) (rule string, ok bool) {
	words := strings.Fields(line)
	if len(words) < 2 || len(words) > 3 || words[0] != "allow" && words[0] != "deny" ||
		!slices.Contains(decision.Reasons(), decision.Reason(words[1])) ||
		(decision.Reason(words[1]).Class() == decision.Allowed) != (words[0] == "allow") {
		return "", false
	}
	if len(words) == 3 {
		return words[2], true
	}
	return "", true
}

// ruleNames returns all names that a decision can have: DOCUMENT/RULE, and DOCUMENT
// for what a document decides without a rule, each with and without its folder.
func ruleNames(set *policy.Set) []string {
	var all []string
	for _, d := range set.Documents() {
		all = append(all, d.Name, d.Folder+"/"+d.Name)
	}
	for _, r := range set.Rules() {
		all = append(all, r.Policy+"/"+r.Rule, r.Folder+"/"+r.Policy+"/"+r.Rule)
	}
	return all
}
