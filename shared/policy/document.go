package policy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
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

// nameRule is nameForm in words.
const nameRule = "use small letters, digits, - and ., at most 63, a letter or digit first and last"

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
		s.problems = doc.Decode(&s.document)
		if foreign := s.foreign(); foreign != "" {
			s.problems = nil // they are about the keys of an AccessPolicy
			s.problems.Add(s.yaml.At(), "%s", foreign)
		} else {
			if len(s.problems) == 0 { // what is empty under a misspelt key is no second mistake
				s.problems = slices.DeleteFunc(doc.Empty(), func(p strictyaml.Problem) bool {
					return s.Metadata.Name == "" && p.Position == doc.At("metadata") // checkHead says what to write
				})
			}
			s.problems = append(s.problems, s.checkHead()...)
		}
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

// foreign says what a document is that is no AccessPolicy; empty: it is one, or was
// meant to be.
func (s *source) foreign() string {
	switch {
	case s.Kind == Kind, suggest.Nearest(s.Kind, []string{Kind}) != "":
		return ""
	case s.Kind == "PolicyTest":
		return "cases for `meshpass policy test`: rename the file to NAME_test.yaml"
	case s.Kind != "":
		return fmt.Sprintf("kind %s is no %s: move it out of this folder", s.Kind, Kind)
	case s.APIVersion == "" && len(s.Spec.Rules)+len(s.Spec.Public)+len(s.Spec.Targets.Workloads) == 0:
		return fmt.Sprintf("no %s: move it out of this folder, or begin it with apiVersion: %s and kind: %s", Kind, APIVersion, Kind)
	}
	return ""
}

// checkHead looks for what is missing only where every key is known: a misspelt key
// is the cause then.
func (s *source) checkHead() strictyaml.Problems {
	var p strictyaml.Problems
	readable := len(s.problems) == 0
	switch {
	case s.APIVersion == "":
		p.Add(s.yaml.At("apiVersion"), "apiVersion is missing: write apiVersion: %s", APIVersion)
	case s.APIVersion != APIVersion:
		p.Add(s.yaml.At("apiVersion"), "apiVersion %q: write apiVersion: %s", s.APIVersion, APIVersion)
	}
	switch {
	case s.Kind == "":
		p.Add(s.yaml.At("kind"), "kind is missing: write kind: %s", Kind)
	case s.Kind != Kind:
		p.Add(s.yaml.At("kind"), "kind %q: write kind: %s", s.Kind, Kind)
	}
	switch name := s.Metadata.Name; {
	case name == "" && !s.yaml.Unreadable("metadata"):
		p.Add(s.yaml.At("metadata"), "metadata.name is missing: write metadata: {name: NAME}")
	case name != "" && !nameForm.MatchString(name):
		p.Add(s.yaml.At("metadata", "name"), "metadata.name %q: %s", name, nameRule)
	}
	if len(s.Spec.Targets.Workloads) == 0 && readable {
		p.Add(s.yaml.At("spec", "targets"), "spec.targets.workloads is missing: a document must say whom it guards")
	}
	if len(s.Spec.Rules) == 0 && len(s.Spec.Public) == 0 && readable {
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
