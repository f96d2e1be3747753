package scenarios

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

//go:embed */*.yaml
var files embed.FS

// LoadShipped returns the cases of a folder of this package, in the order of their files' names:
//
//	tour      the story that `make demo` plays
//	hostile   invalid and forged input
//	local     cases with another end on a cluster, where the gateway has a sidecar in front
//	cluster   cases that only a cluster shows
//	others    cases of the topology of that name, see docs/topologies.md
func LoadShipped(folder string) ([]Scenario, error) { return LoadFolder(files, folder) }

// LoadFolder reads every case in a folder of fsys. It reports all problems together, with file and line.
func LoadFolder(fsys fs.FS, folder string) ([]Scenario, error) {
	names, err := fs.Glob(fsys, path.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("scenarios: no *.yaml in %s", folder)
	}
	var all []Scenario
	var problems strictyaml.Problems
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		scenario, found := parseScenario(data)
		scenario.Name = strings.TrimSuffix(path.Base(name), ".yaml")
		all = append(all, scenario)
		problems = append(problems, found.InFile(name)...)
	}
	return all, problems.Err()
}

func parseScenario(data []byte) (Scenario, strictyaml.Problems) {
	var s Scenario
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return s, strictyaml.AsProblems(err)
	}
	problems := doc.Decode(&s)
	if len(problems) > 0 {
		return s, problems
	}
	s.applyDefaults()
	return s, s.findProblems(doc)
}

func (s *Scenario) applyDefaults() {
	for i := range s.Steps {
		step := &s.Steps[i]
		step.Times = max(step.Times, 1)
		step.Send.Method = cmp.Or(step.Send.Method, "GET")
	}
}

// findProblems reports mistakes that would let a case pass without a test.
func (s *Scenario) findProblems(doc *strictyaml.Document) strictyaml.Problems {
	var problems strictyaml.Problems
	if s.Title == "" {
		problems.Add(doc.PositionOf(), "title is missing")
	}
	if len(s.Steps) == 0 {
		problems.Add(doc.PositionOf("steps"), "a case needs steps")
	}
	for i, step := range s.Steps {
		position := func(keys ...any) strictyaml.Position { return doc.PositionOf(append([]any{"steps", i}, keys...)...) }
		if step.Send.To == "" {
			problems.Add(position("send"), "send.to is missing: gateway or a service")
		}
		if !strings.HasPrefix(step.Send.Path, "/") {
			problems.Add(position("send", "path"), "send.path must begin with /")
		}
		if (step.Expect.Status == 0) != step.Expect.Closed {
			problems.Add(position("expect"), "expect either a status or closed: true")
		}
		for j, record := range step.Expect.Audit {
			for field := range record {
				if !slices.Contains(recordFields, field) {
					problems.Add(position("expect", "audit", j, field), "audit records have no field %q; they have: %s", field, strings.Join(recordFields, ", "))
				}
			}
		}
	}
	return problems
}
