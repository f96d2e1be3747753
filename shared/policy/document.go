package policy

import (
	"crypto/sha256"
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
	Mode     string        `yaml:"mode"`
	Identity string        `yaml:"identity"`
	OnOutage string        `yaml:"onOutage"`
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
	Mode   string           `yaml:"mode"`
	From   from             `yaml:"from"`
	To     to               `yaml:"to"`
	Scopes []string         `yaml:"scopes"`
	Claims map[string][]any `yaml:"claims"`
	When   string           `yaml:"when"`
}

type from struct {
	Workloads   []string `yaml:"workloads"`
	NoPrincipal bool     `yaml:"noPrincipal"`
	Issuers     []string `yaml:"issuers"`
}

type to struct {
	Methods      []string `yaml:"methods"`
	Paths        []string `yaml:"paths"`
	AllowEncoded []string `yaml:"allowEncoded"`
	Hosts        []string `yaml:"hosts"`
	Ports        []uint32 `yaml:"ports"`
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// source is a document as it was read, with the places of its parts.
type source struct {
	folder   *folder
	file     string
	content  [sha256.Size]byte // of the whole file
	yaml     *strictyaml.Document
	problems strictyaml.Problems
	formed   bool // it can be compiled, which may find more problems
	document
}

// readDocuments reads the documents of a file.
func readDocuments(folder *folder, file string, content [sha256.Size]byte, data []byte) ([]*source, error) {
	parsed, err := strictyaml.ParseAll(data)
	if err != nil {
		return nil, err
	}
	sources := make([]*source, len(parsed))
	for i, doc := range parsed {
		s := &source{folder: folder, file: file, content: content, yaml: doc}
		s.problems = append(doc.Decode(&s.document), doc.Empty()...)
		s.problems = append(s.problems, s.checkHead()...)
		s.formed = len(s.problems) == 0
		sources[i] = s
	}
	return sources, nil
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
	s.oneOf(&p, s.Spec.Mode, "enforce", "shadow", "mode")
	s.oneOf(&p, s.Spec.Identity, "required", "optional", "identity")
	s.oneOf(&p, s.Spec.OnOutage, "deny", "allow", "onOutage")
	return p
}

func (s *source) oneOf(p *strictyaml.Problems, value, usual, other string, path ...any) {
	if !slices.Contains([]string{"", usual, other}, value) {
		s.problem(p, fmt.Errorf("%s %q: want %s or %s", path[len(path)-1], value, usual, other), path...)
	}
}

// problem names a place below spec.
func (s *source) problem(p *strictyaml.Problems, err error, path ...any) {
	p.Add(s.yaml.At(append([]any{"spec"}, path...)...), "%s", fmt.Sprint(err))
}
