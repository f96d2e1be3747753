package lint

import (
	"io"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	policylint "github.com/meshpass/meshpass/shared/policy/lint"
)

// invalidRule is the id of the SARIF rule of errors, which have no code.
const invalidRule = "invalid"

// descriptions describe each code in one sentence.
var descriptions = map[policylint.Code]string{
	policylint.Unreachable:    "An allow rule or public entry whose requests a deny rule always denies.",
	policylint.ShadowedAllow:  "An allow rule that another allow rule or public entry makes redundant.",
	policylint.RedundantDeny:  "A deny rule that another deny rule makes redundant.",
	policylint.Wildcard:       "A target, or a caller of an allow rule, that names workloads which do not exist yet.",
	policylint.OpenRule:       "An allow rule without conditions.",
	policylint.OutageAllow:    "A document that allows requests during an outage.",
	policylint.UnguardedClaim: "A deny rule on a claim that a token may lack.",
	policylint.UncertainKind:  "A comparison that a claim of another kind passes.",
	policylint.GuardrailToken: "A guardrail that reads the token.",
	policylint.LiteralPattern: "A path segment that looks like a parameter and is compared as it is written.",
	policylint.UnknownMethod:  "A method that is not registered.",
	policylint.DenyRoot:       "A deny rule on a path that leaves the root of the path out.",
	policylint.DenySlash:      "A deny rule on a path that leaves the path with a slash at its end out, or the other way around.",
	policylint.PublicFirst:    "A deny rule that reads the token, where a public entry lets requests in before.",
	policylint.DenyGetNotHead: "A deny rule on GET that leaves HEAD out.",
	policylint.MethodOverride: "A deny rule on a method that a method override header passes.",
	policylint.CostlyRegex:    "A regular expression that reads short texts only.",
	policylint.FileNotRead:    "A document in a file that no authorizer reads.",
	policylint.ConfigMapSize:  "Nearly more documents than a ConfigMap holds.",
	policylint.NativeIstio:    "A document that Istio can enforce without an authorizer.",
	UnguardedWorkload:         "A workload that no enforced document targets.",
}

// PrintSARIF writes the report as a SARIF 2.1.0 log, for code scanning.
func (r Report) PrintSARIF(to io.Writer) error {
	rules := []printer.SARIFRule{{
		ID: invalidRule, Description: "A document, or a file of cases, that cannot be used.", Page: "policy-tools.md#lint", Level: string(Error),
	}}
	for _, code := range append(policylint.Codes(), UnguardedWorkload) {
		rules = append(rules, printer.SARIFRule{ID: string(code), Description: descriptions[code], Page: "policy.md#" + string(code), Level: string(Warning)})
	}
	var results []printer.SARIFResult
	for _, f := range r.Findings {
		id := string(f.Code)
		if id == "" {
			id = invalidRule
		}
		results = append(results, printer.SARIFResult{
			RuleID: id, Level: string(f.Severity), Problem: printer.Problem{File: f.File, Line: f.Line, Column: f.Column, Message: f.Message},
		})
	}
	return printer.SARIF(to, "meshpass policy lint", "policy-tools.md", rules, results)
}
