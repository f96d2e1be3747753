package lint_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/meshpass/meshpass/extauthz/internal/policycli/lint"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
	policylint "github.com/meshpass/meshpass/shared/policy/lint"
)

// The log is valid by the schema of SARIF 2.1.0. testdata/sarif-essential.json is our excerpt
// of the schema for the parts that lint writes.
func TestSARIF(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-essential.json")
	if err != nil {
		t.Fatal(err)
	}
	members, err := os.ReadFile("testdata/workloads.txt")
	if err != nil {
		t.Fatal(err)
	}
	odd := lint.Report{Findings: []lint.Finding{{Severity: lint.Error, File: "/a b/c:d.yaml", Message: "no line"}, {Severity: lint.Warning, File: "a b/ü:%.yaml", Line: 3, Code: policylint.OpenRule, Message: "m"}}}
	for name, report := range map[string]lint.Report{"lint.sarif": lintDirs(t, string(members), "testdata/policies"), "odd.sarif": odd, "": {}} {
		var text strings.Builder
		if err := report.PrintSARIF(&text); err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text.String()))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name != "" {
			golden.CompareFile(t, name, text.String())
		}
		checkRules(t, text.String(), len(report.Findings))
	}
}

// checkRules checks that each result has the index of its rule, and that the link of each
// rule leads to an anchor that exists.
func checkRules(t *testing.T, text string, findings int) {
	t.Helper()
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Rules []struct {
						ID, HelpURI      string
						ShortDescription struct{ Text string }
					}
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	rules := log.Runs[0].Tool.Driver.Rules
	for _, r := range log.Runs[0].Results {
		if rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("rule %d is %s, not %s", r.RuleIndex, rules[r.RuleIndex].ID, r.RuleID)
		}
	}
	if len(log.Runs[0].Results) != findings || len(rules) != len(policylint.Codes())+2 {
		t.Errorf("got %d results, %d rules", len(log.Runs[0].Results), len(rules))
	}
	for _, rule := range rules {
		page, anchor, _ := strings.Cut(strings.TrimPrefix(rule.HelpURI, "https://github.com/meshpass/meshpass/blob/main/"), "#")
		data, err := os.ReadFile("../../../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), `<a id="`+anchor+`"></a>`) && !strings.Contains(strings.ToLower(string(data)), "\n## "+anchor+"\n") {
			t.Errorf("%s: no such anchor", rule.HelpURI)
		}
		if rule.ShortDescription.Text == "" {
			t.Errorf("%s: no description", rule.ID)
		}
	}
}
