package syslint_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/meshpass/meshpass/extauthz/internal/syslint"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
)

// lintFiles checks the files of a folder of testdata.
func lintFiles(t *testing.T, path string) syslint.Report {
	t.Helper()
	reader := objects.NewReader()
	if err := reader.ReadPath(path); err != nil {
		t.Fatal(err)
	}
	return syslint.Run(reader.Set)
}

// Each form of output names the place of a finding in a file, and in a file that a ConfigMap holds.
func TestPrinted(t *testing.T) {
	report := lintFiles(t, "testdata/faults")
	var text, github, sarif, indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	for _, err := range []error{report.Print(&text), report.PrintGitHub(&github), report.PrintSARIF(&sarif), encoder.Encode(report)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	golden.CompareFile(t, "faults.golden.txt", text.String())
	golden.CompareFile(t, "faults.golden.github", github.String())
	golden.CompareFile(t, "faults.golden.json", indented.String())
	schema, err := jsonschema.NewCompiler().Compile("../policycli/lint/testdata/sarif-essential.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(sarif.String()))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Error(err)
	}
	for _, rule := range syslint.Rules() {
		if !strings.Contains(sarif.String(), `docs/lint.md#`+rule.Code+`"`) {
			t.Errorf("the log has no link to %s", rule.Code)
		}
	}
}

// A baseline accepts exactly the findings that it lists, on any line, and names what is not there any more.
func TestBaseline(t *testing.T) {
	report := lintFiles(t, "testdata/faults")
	text, err := syslint.NewBaseline(report)
	if err != nil {
		t.Fatal(err)
	}
	baseline, err := syslint.ParseBaseline("baseline.json", text)
	if err != nil {
		t.Fatal(err)
	}
	found := len(report.Findings)
	report.Accept(baseline)
	if !report.Passes() || report.Accepted != found || len(report.Outdated) > 0 {
		t.Errorf("%d findings are left, %d accepted, outdated %q", len(report.Findings), report.Accepted, report.Outdated)
	}
	none := syslint.Run(objects.NewSet())
	none.Accept(baseline)
	if len(none.Outdated) != len(baseline.Accepted) {
		t.Errorf("%d of %d entries are outdated", len(none.Outdated), len(baseline.Accepted))
	}
	accept := func(accepted, found string) syslint.Report {
		data := fmt.Sprintf(`{"version":1,"accepted":[{"code":"tyk_listen_path_prefix","object":"ConfigMap edge/%s","key":"a.json","message":"m of %s"}]}`, accepted, accepted)
		baseline, err := syslint.ParseBaseline("b", []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		r := syslint.Report{Findings: []syslint.Finding{{Code: "tyk_listen_path_prefix", Message: "m of " + found}}}
		r.Findings[0].Object, r.Findings[0].Key = "ConfigMap edge/"+found, "a.json"
		r.Accept(baseline)
		return r
	}
	if r := accept("tyk-apis-m728bcf6df", "tyk-apis-9fd4h2k5tg"); r.Accepted != 1 {
		t.Errorf("another content of the ConfigMap: accepted %d, outdated %q", r.Accepted, r.Outdated)
	}
	if r := accept("tyk-apis", "tyk-apis-authorized"); r.Accepted != 0 {
		t.Error("another ConfigMap is accepted")
	}
	for data, want := range map[string]string{
		`{"version":1,"accepted":[{"code":"provider_unknwon","message":"x"}]}`: `b: accepted[0]: unknown code "provider_unknwon"`,
		`{"version":2}`:  `b: version 2: want 1`,
		`{"versoin":1}`:  `b: no baseline: json: unknown field "versoin"; write one with --write-baseline`,
		`{"version":1}x`: `b: want one JSON object, and nothing after it`,
	} {
		if _, err := syslint.ParseBaseline("b", []byte(data)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", data, err)
		}
	}
}

// What cannot be checked is named with its place, and hides nothing else.
func TestUnchecked(t *testing.T) {
	report := lintFiles(t, "testdata/unreadable")
	var text strings.Builder
	for _, u := range report.Unchecked {
		text.WriteString(u.Place.String() + ": " + u.Reason + "\n")
	}
	golden.CompareFile(t, "unreadable.golden.txt", text.String())
	if report.Objects != 3 {
		t.Errorf("%d objects were checked, want the three that can be read", report.Objects)
	}
	if _, err := os.Stat("testdata/unreadable"); err != nil {
		t.Fatal(err)
	}
}
