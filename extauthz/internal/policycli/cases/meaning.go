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

// CheckMeaning returns a problem for each case that proves nothing, because its result
// does not depend on the rules. Such a case expects a document or a rule that does not
// exist, or it expects a denial that no rule decides: the callee is not targeted, the
// request is ambiguous, or the name of the caller is mistyped.
//
// A case may expect that its callee is not guarded, by the reason unguarded or
// unenforced.
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
	messages := []string{c.checkCallee(set), c.checkDenial(set)}
	if c.Expect.Rule != "" {
		messages = append(messages, checkRuleName("expect.rule", c.Expect.Rule, known))
	}
	for _, line := range c.Expect.Shadow {
		if rule, ok := shadowRule(line); !ok {
			messages = append(messages, fmt.Sprintf("expect.shadow %q: want DECISION REASON, or DECISION REASON DOCUMENT/RULE, as in the audit record", line))
		} else if rule != "" {
			messages = append(messages, checkRuleName("expect.shadow", rule, known))
		}
	}
	return slices.DeleteFunc(messages, func(message string) bool { return message == "" })
}

// checkCallee explains why a denial of the case proves nothing about its callee: no
// document targets it, or only guardrails do and the case names neither rule nor reason.
// The text is empty if the case is fine, as for the other checks.
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

// checkDenial explains why the rules have no influence on the expected denial. A case
// that expects a reason, a rule or a shadow answer is fine: it proves that one.
func (c *Case) checkDenial(set *policy.Set) string {
	if c.Request.Method == "" || c.Request.Path == "" { // reported already
		return ""
	}
	if c.Expect.Decision != "deny" || c.Expect.Reason != "" || c.Expect.Rule != "" || len(c.Expect.Shadow) > 0 || len(set.Targeting(c.Request.Callee)) == 0 {
		return ""
	}
	switch d := c.decideBy(set); {
	case d.Reason == decision.AmbiguousPath || d.Reason == decision.AmbiguousMethod || d.Reason == decision.AmbiguousHost:
		return fmt.Sprintf("the request can be read in two ways, so it is denied whatever the rules say; expect the reason %s if that is meant", d.Reason)
	case d.Reason == decision.Unguarded:
		return fmt.Sprintf("only documents in shadow target the callee %s, so every request to it is denied; expect the reason %s, or what is in shadow", c.Request.Callee, d.Reason)
	case d.Reason == decision.NoRule:
		return c.checkCaller(set)
	}
	return ""
}

// checkCaller finds a mistyped caller: no rule names it, and a rule names one that
// differs by a typing error. No rule allows such a caller, so a denial proves nothing
// about the rest of the case.
func (c *Case) checkCaller(set *policy.Set) string {
	var names []string
	for _, p := range set.Callers() {
		if c.Request.Caller == "" || p.Match(c.Request.Caller) {
			return ""
		}
		names = append(names, p.String())
	}
	if meant := suggest.DidYouMean(string(c.Request.Caller), names); meant != "" {
		return fmt.Sprintf("no rule names the caller %s%s. If the caller is meant, expect the reason %s", c.Request.Caller, meant, decision.NoRule)
	}
	return ""
}

func checkRuleName(field, name string, known []string) string {
	if slices.Contains(known, name) {
		return ""
	}
	return fmt.Sprintf("%s %q: no document has such a rule%s", field, name, suggest.DidYouMean(name, known))
}

// shadowRule returns the rule, DOCUMENT/RULE or DOCUMENT, of a line such as "deny
// rule_denied orders/no-batch". The rule is empty if the line has no third word. ok is
// false if the line is not one that an audit record can have.
func shadowRule(line string) (rule string, ok bool) {
	if _, err := decision.ParseShadow(line); err != nil {
		return "", false
	}
	if words := strings.SplitN(line, " ", 3); len(words) == 3 {
		return words[2], true
	}
	return "", true
}

// ruleNames returns all names that can be the rule of a decision: DOCUMENT/RULE, and
// DOCUMENT where a document decides without a rule, each with and without its folder.
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
