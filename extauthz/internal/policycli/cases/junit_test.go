package cases_test

import (
	"encoding/xml"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli/cases"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
)

func TestJUnit(t *testing.T) {
	report := runCases(t, "testdata/policies", cases.Options{MinCoverage: 90})
	var text strings.Builder
	if err := report.PrintJUnit(&text); err != nil {
		t.Fatal(err)
	}
	golden.CompareFile(t, "test.junit.xml", text.String())
	var counted struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text.String()), &counted); err != nil {
		t.Fatal(err)
	}
	tests, failures := 0, 0
	for _, suite := range counted.Suites {
		for _, c := range suite.Cases {
			if tests++; c.Failure != nil {
				failures++
			}
		}
	}
	if tests != len(report.Cases)+1 || failures != report.Failed+1 || counted.Tests != tests || counted.Failures != failures {
		t.Errorf("got %d tests, %d failures, %+v", tests, failures, counted)
	}
}

// A name may contain characters that XML cannot.
func TestJUnitOfOddNames(t *testing.T) {
	const name = "a<b&\"c\"\x00]]>"
	report := cases.Report{Cases: []cases.Result{{File: name, Name: name, Differences: []cases.Difference{{Field: "decision", Want: name, Got: "x"}}}}, Failed: 1}
	var text strings.Builder
	if err := report.PrintJUnit(&text); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Suite struct {
			Case struct {
				Name string `xml:"name,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(text.String()), &read); err != nil || read.Suite.Case.Name != "a<b&\"c\"\ufffd]]>" {
		t.Errorf("got %q, %v\n%s", read.Suite.Case.Name, err, text.String())
	}
}
