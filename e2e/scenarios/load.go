package scenarios

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

//go:embed */*.yaml
var files embed.FS

// In returns the cases of a folder, in the order of their files' names:
//
//	tour      the story that `make demo` plays
//	hostile   bad and forged input
//	local     what ends otherwise on a cluster, where the gateway has a sidecar in front
//	cluster   what only a cluster shows
//	others    those of the topology of that name, see docs/topologies.md
func In(folder string) ([]Scenario, error) { return Load(files, folder) }

// Load reads every case in a folder of fsys. All that is wrong is reported together, with file and line.
func Load(fsys fs.FS, folder string) ([]Scenario, error) {
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
		scenario, found := parse(data)
		scenario.Name = strings.TrimSuffix(path.Base(name), ".yaml")
		all = append(all, scenario)
		problems = append(problems, found.In(name)...)
	}
	return all, problems.Err()
}

func parse(data []byte) (Scenario, strictyaml.Problems) {
	var s Scenario
	doc, err := strictyaml.Parse(data)
	if err != nil {
		var problems strictyaml.Problems
		errors.As(err, &problems)
		return s, problems
	}
	problems := doc.Decode(&s)
	if len(problems) == 0 {
		s.check(doc, &problems)
	}
	return s, problems
}

// check refuses what would make a case pass without having tested anything.
func (s *Scenario) check(doc *strictyaml.Document, problems *strictyaml.Problems) {
	if s.Title == "" {
		problems.Add(doc.At(), "title is missing")
	}
	if len(s.Steps) == 0 {
		problems.Add(doc.At("steps"), "a case needs steps")
	}
	for i := range s.Steps {
		at := func(keys ...any) strictyaml.Position { return doc.At(append([]any{"steps", i}, keys...)...) }
		s.Steps[i].check(at, problems)
	}
}

func (s *Step) check(at func(...any) strictyaml.Position, problems *strictyaml.Problems) {
	s.Times = max(s.Times, 1)
	if s.Send.Method == "" {
		s.Send.Method = "GET"
	}
	if s.Send.To == "" {
		problems.Add(at("send"), "send.to is missing: gateway or a service")
	}
	if !strings.HasPrefix(s.Send.Path, "/") {
		problems.Add(at("send", "path"), "send.path must begin with /")
	}
	if (s.Expect.Status == 0) != s.Expect.Closed {
		problems.Add(at("expect"), "expect either a status or closed: true")
	}
	for i, record := range s.Expect.Audit {
		for field := range record {
			if !slices.Contains(recordFields, field) {
				problems.Add(at("expect", "audit", i, field), "audit records have no field %q; they have: %s", field, strings.Join(recordFields, ", "))
			}
		}
	}
}
