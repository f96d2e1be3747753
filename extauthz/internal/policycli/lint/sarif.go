package lint

import (
	"io"
	"net/url"
	"path/filepath"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	policylint "github.com/meshpass/meshpass/shared/policy/lint"
)

// docsURL is the folder of the pages that describe the rules of a SARIF log.
const docsURL = "https://github.com/meshpass/meshpass/blob/main/docs/"

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
	policylint.NativeIstio:    "A document that Istio can enforce without an authorizer.",
	UnguardedWorkload:         "A workload that no enforced document targets.",
}

// The parts of SARIF 2.1.0 (OASIS standard, section 3) that a report needs.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string     `json:"id"`
		ShortDescription sarifText  `json:"shortDescription"`
		HelpURI          string     `json:"helpUri"`
		Default          sarifLevel `json:"defaultConfiguration"`
	}
	sarifLevel struct {
		Level Severity `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"` // in the driver's rules
		Level     Severity        `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// PrintSARIF writes the report as a SARIF 2.1.0 log, for code scanning.
func (r Report) PrintSARIF(to io.Writer) error {
	rules, index := sarifRules()
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: "meshpass policy lint", InformationURI: docsURL + "policy-tools.md", Rules: rules}},
		ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
	}
	for _, f := range r.Findings {
		id := string(f.Code)
		if id == "" {
			id = invalidRule
		}
		place := sarifPhysical{Artifact: sarifArtifact{fileURI(f.File)}}
		if f.Line > 0 {
			place.Region = &sarifRegion{f.Line, max(f.Column, 1)}
		}
		run.Results = append(run.Results, sarifResult{id, index[id], f.Severity, sarifText{f.Message}, []sarifLocation{{place}}})
	}
	return printer.JSON(to, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// sarifRules returns the rules, and the index of each in the list by its id.
func sarifRules() ([]sarifRule, map[string]int) {
	rules := []sarifRule{{
		ID: invalidRule, ShortDescription: sarifText{"A document, or a file of cases, that cannot be used."},
		HelpURI: docsURL + "policy-tools.md#lint", Default: sarifLevel{Error},
	}}
	for _, code := range append(policylint.Codes(), UnguardedWorkload) {
		rules = append(rules, sarifRule{
			ID: string(code), ShortDescription: sarifText{descriptions[code]},
			HelpURI: docsURL + "policy.md#" + string(code), Default: sarifLevel{Warning},
		})
	}
	index := map[string]int{}
	for i, rule := range rules {
		index[rule.ID] = i
	}
	return rules, index
}

// fileURI returns a relative reference for a relative path, so that code scanning finds
// the file in the repository.
func fileURI(path string) string {
	u := url.URL{Path: filepath.ToSlash(path)}
	if filepath.IsAbs(path) {
		u.Scheme = "file"
	}
	return u.String()
}
