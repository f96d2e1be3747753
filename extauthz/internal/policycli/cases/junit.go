package cases

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit XML that CI systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// PrintJUnit writes the report as JUnit XML: one suite for each file, and one named
// coverage if a minimum coverage was set.
func (r Report) PrintJUnit(to io.Writer) error {
	all := junitSuites{Name: "meshpass policy test"}
	for _, c := range r.Cases {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != c.File {
			all.Suites = append(all.Suites, junitSuite{Name: c.File})
		}
		all.addCase(junitCase{Name: c.Name, Class: c.File, File: c.File, Line: c.Line, Failure: c.failureElement()})
	}
	if r.Coverage != nil && r.Coverage.Want > 0 {
		all.Suites = append(all.Suites, junitSuite{Name: "coverage"})
		all.addCase(junitCase{Name: fmt.Sprintf("%d%%", r.Coverage.Want), Class: "coverage", Failure: r.Coverage.failureElement()})
	}
	text, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(to, xml.Header+string(text)+"\n")
	return err
}

// addCase puts a case into the last suite.
func (s *junitSuites) addCase(c junitCase) {
	last := &s.Suites[len(s.Suites)-1]
	last.Cases = append(last.Cases, c)
	last.Tests++
	s.Tests++
	if c.Failure != nil {
		last.Failures++
		s.Failures++
	}
}

func (r Result) failureElement() *junitFailure {
	if r.Passed {
		return nil
	}
	var short []string
	for _, d := range r.Differences {
		short = append(short, fmt.Sprintf("%s: want %s, got %s", d.Field, d.Want, orNone(d.Got)))
	}
	var text strings.Builder
	r.printTo(&text)
	return &junitFailure{strings.Join(short, "; "), "\n" + text.String()}
}

func (c Coverage) failureElement() *junitFailure {
	if c.IsEnough() {
		return nil
	}
	var text strings.Builder
	c.printNever(&text)
	return &junitFailure{c.String(), "\n" + text.String()}
}
