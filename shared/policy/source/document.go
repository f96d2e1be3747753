package source

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"slices"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/policy"
)

// APIVersion and Kind head every document.
const (
	APIVersion = "meshpass.dev/v1"
	Kind       = "AccessPolicy"
)

// AccessPolicy is a document as it is written. Absent fields set no condition. Fields that
// are present and empty are rejected.
type AccessPolicy struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   Metadata `yaml:"metadata"`
	Spec       Spec     `yaml:"spec"`
}

// Metadata names a document.
type Metadata struct {
	Name string `yaml:"name"`
}

// Spec is the content of a document.
type Spec struct {
	Targets  Targets       `yaml:"targets"`
	Mode     string        `yaml:"mode"`
	Identity string        `yaml:"identity"`
	OnOutage string        `yaml:"onOutage"`
	Public   []PublicEntry `yaml:"public"`
	Rules    []Rule        `yaml:"rules"`
}

// Targets are the workloads that a document guards.
type Targets struct {
	Workloads []string `yaml:"workloads"`
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$`)

// nameRule is nameForm in words.
const nameRule = "use small letters, digits, - and ., at most 63, a letter or digit first and last"

// Document is an AccessPolicy as it was read, with the places of its parts.
type Document struct {
	File     string
	Policy   AccessPolicy
	Compiled *policy.Document // nil: the document is not well-formed

	folder     *folder
	content    [sha256.Size]byte // of the whole file
	yaml       *strictyaml.Document
	problems   strictyaml.Problems
	wellFormed bool // it can be compiled, which may find more problems
}

// Position is the place of a part below spec, such as "rules", 0, "when".
func (d *Document) Position(path ...any) strictyaml.Position {
	return d.yaml.PositionOf(append([]any{"spec"}, path...)...)
}

func (d *Document) isShadow() bool { return d.Policy.Spec.Mode == string(policy.Shadow) }

// readDocuments reads the documents of a file.
func readDocuments(folder *folder, file string, content [sha256.Size]byte, data []byte) ([]*Document, error) {
	parsed, err := strictyaml.ParseAll(data)
	if err != nil {
		return nil, err
	}
	documents := make([]*Document, len(parsed))
	for i, yaml := range parsed {
		documents[i] = &Document{folder: folder, File: file, content: content, yaml: yaml}
		documents[i].decodePolicy()
	}
	return documents, nil
}

func (d *Document) decodePolicy() {
	d.problems = d.yaml.Decode(&d.Policy)
	if other := d.otherKind(); other != "" {
		d.problems = nil // they are about the keys of an AccessPolicy
		d.problems.Add(d.yaml.PositionOf(), "%s", other)
	} else {
		if len(d.problems) == 0 { // an empty value under a misspelt key is no second mistake
			d.problems = slices.DeleteFunc(d.yaml.EmptyValues(), func(p strictyaml.Problem) bool {
				return d.Policy.Metadata.Name == "" && p.Position == d.yaml.PositionOf("metadata") // checkHead explains what to write
			})
		}
		d.problems = append(d.problems, d.checkHead()...)
	}
	d.wellFormed = len(d.problems) == 0
}

// otherKind explains what to do with a document that is no AccessPolicy; empty: it is one,
// or is meant to be one.
func (d *Document) otherKind() string {
	switch p := d.Policy; {
	case p.Kind == Kind, suggest.Nearest(p.Kind, []string{Kind}) != "":
		return ""
	case p.Kind == "PolicyTest":
		return "cases for `meshpass policy test`: rename the file to NAME_test.yaml"
	case p.Kind != "":
		return fmt.Sprintf("kind %s is no %s: move it out of this folder", p.Kind, Kind)
	case p.APIVersion == "" && len(p.Spec.Rules)+len(p.Spec.Public)+len(p.Spec.Targets.Workloads) == 0:
		return fmt.Sprintf("no %s: move it out of this folder, or begin it with apiVersion: %s and kind: %s", Kind, APIVersion, Kind)
	}
	return ""
}

// checkHead looks for missing parts only if every key is known. Otherwise a misspelt key is
// the cause.
func (d *Document) checkHead() strictyaml.Problems {
	var p strictyaml.Problems
	head := d.Policy
	readable := len(d.problems) == 0
	switch {
	case head.APIVersion == "":
		p.Add(d.yaml.PositionOf("apiVersion"), "apiVersion is missing: write apiVersion: %s", APIVersion)
	case head.APIVersion != APIVersion:
		p.Add(d.yaml.PositionOf("apiVersion"), "apiVersion %q: write apiVersion: %s", head.APIVersion, APIVersion)
	}
	switch {
	case head.Kind == "":
		p.Add(d.yaml.PositionOf("kind"), "kind is missing: write kind: %s", Kind)
	case head.Kind != Kind:
		p.Add(d.yaml.PositionOf("kind"), "kind %q: write kind: %s", head.Kind, Kind)
	}
	switch name := head.Metadata.Name; {
	case name == "" && !d.yaml.Unreadable("metadata"):
		p.Add(d.yaml.PositionOf("metadata"), "metadata.name is missing: write metadata: {name: NAME}")
	case name != "" && !nameForm.MatchString(name):
		p.Add(d.yaml.PositionOf("metadata", "name"), "metadata.name %q: %s", name, nameRule)
	}
	if len(head.Spec.Targets.Workloads) == 0 && readable {
		p.Add(d.yaml.PositionOf("spec", "targets"), "spec.targets.workloads is missing: a document must name the workloads that it guards")
	}
	if len(head.Spec.Rules) == 0 && len(head.Spec.Public) == 0 && readable {
		p.Add(d.yaml.PositionOf("spec"), "spec has neither rules nor public entries: the document would only deny; write a deny rule for that")
	}
	d.checkChoice(&p, head.Spec.Mode, "enforce", "shadow", "mode")
	d.checkChoice(&p, head.Spec.Identity, "required", "optional", "identity")
	d.checkChoice(&p, head.Spec.OnOutage, "deny", "allow", "onOutage")
	return p
}

func (d *Document) checkChoice(p *strictyaml.Problems, value, usual, other, field string) {
	if !slices.Contains([]string{"", usual, other}, value) {
		p.Add(d.Position(field), "%s %q: want %s or %s", field, value, usual, other)
	}
}

// addProblem adds a problem of a part below spec.
func (d *Document) addProblem(err error, path ...any) {
	d.problems.Add(d.Position(path...), "%s", err)
}
