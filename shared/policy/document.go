package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/meshpass/meshpass/shared/strictyaml"
)

// APIVersion and Kind head every document.
const (
	APIVersion = "meshpass.dev/v1"
	Kind       = "AccessPolicy"
)

// document is an AccessPolicy as it is written. Absent fields set no condition;
// fields that are present and empty are refused.
type document struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       spec     `yaml:"spec"`
}

type metadata struct {
	Name string `yaml:"name"`
}

type spec struct {
	Targets  targets       `yaml:"targets"`
	Identity string        `yaml:"identity"`
	Public   []publicEntry `yaml:"public"`
	Rules    []ruleSpec    `yaml:"rules"`
}

type targets struct {
	Workloads []string `yaml:"workloads"`
}

type publicEntry struct {
	Methods []string `yaml:"methods"`
	Paths   []string `yaml:"paths"`
}

type ruleSpec struct {
	Name   string           `yaml:"name"`
	Effect string           `yaml:"effect"`
	From   from             `yaml:"from"`
	To     to               `yaml:"to"`
	Scopes []string         `yaml:"scopes"`
	Claims map[string][]any `yaml:"claims"`
	When   string           `yaml:"when"`
}

type from struct {
	Workloads []string `yaml:"workloads"`
	Issuers   []string `yaml:"issuers"`
}

type to struct {
	Methods []string `yaml:"methods"`
	Paths   []string `yaml:"paths"`
	Hosts   []string `yaml:"hosts"`
	Ports   []uint32 `yaml:"ports"`
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// source is a document with the places of its parts.
type source struct {
	file string
	yaml *strictyaml.Document
	document
}

// readDocuments reads the documents of a file; those with problems are left out.
func readDocuments(file string, data []byte) ([]source, strictyaml.Problems) {
	parsed, err := strictyaml.ParseAll(data)
	if err != nil {
		return nil, asProblems(err).In(file)
	}
	var sources []source
	var problems strictyaml.Problems
	for _, doc := range parsed {
		s := source{file: file, yaml: doc}
		found := append(doc.Decode(&s.document), doc.Empty()...)
		found = append(found, s.checkHead()...)
		if len(found) == 0 {
			sources = append(sources, s)
		}
		problems = append(problems, found.In(file)...)
	}
	return sources, problems
}

func asProblems(err error) strictyaml.Problems {
	var problems strictyaml.Problems
	if errors.As(err, &problems) {
		return problems
	}
	return strictyaml.Problems{{Message: err.Error()}}
}

func (s *source) checkHead() strictyaml.Problems {
	var p strictyaml.Problems
	if s.APIVersion != APIVersion || s.Kind != Kind {
		p.Add(s.yaml.At(), "want apiVersion: %s and kind: %s", APIVersion, Kind)
	}
	if !nameForm.MatchString(s.Metadata.Name) {
		p.Add(s.yaml.At("metadata", "name"), "metadata.name is missing or not of the form %s", nameForm)
	}
	if len(s.Spec.Targets.Workloads) == 0 {
		p.Add(s.yaml.At("spec", "targets"), "spec.targets.workloads is missing: a document must say whom it guards")
	}
	if len(s.Spec.Rules) == 0 && len(s.Spec.Public) == 0 {
		p.Add(s.yaml.At("spec"), "spec has neither rules nor public entries: it would only deny; say so with a deny rule")
	}
	if !slices.Contains([]string{"", "required", "optional"}, s.Spec.Identity) {
		p.Add(s.yaml.At("spec", "identity"), "identity %q: want required or optional", s.Spec.Identity)
	}
	return p
}

// problem names a place below spec.
func (s *source) problem(p *strictyaml.Problems, err error, path ...any) {
	p.Add(s.yaml.At(append([]any{"spec"}, path...)...), "%s", fmt.Sprint(err))
}
