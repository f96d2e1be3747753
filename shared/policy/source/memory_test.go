package source

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

func remembered(name, when string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(fmt.Sprintf(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: %s}
spec:
  targets: {workloads: [ns/shop/sa/%[1]s]}
  rules: [{name: r, effect: allow, when: '%s'}]
`, name, when))}
}

// documentOf finds a compiled document.
func documentOf(s *policy.Set, name string) *policy.Document {
	for _, d := range s.CompiledDocuments() {
		if d.Spec().Name == name {
			return d
		}
	}
	return nil
}

// An unchanged document is the same value after the next load: neither the document nor
// its expressions were compiled again.
func TestUnchangedDocumentsAreNotCompiledAgain(t *testing.T) {
	const when, other = `claims.tctx.plan == "gold"`, `claims.tctx.plan == "silver"`
	tree := fstest.MapFS{"a.yaml": remembered("a", when), "b.yaml": remembered("b", when), "c.yaml": remembered("c", other)}
	loader := Loader{Memory: new(Memory)}
	dir := Dir{Name: "p", Files: tree}
	first := loader.LoadEach(nil, dir).Set
	tree["b.yaml"] = remembered("b", when+" && true")
	tree["d.yaml"] = remembered("d", other)
	delete(tree, "a.yaml")
	second := loader.LoadEach(first, dir).Set
	switch {
	case documentOf(second, "c") != documentOf(first, "c"):
		t.Error("a document is compiled again without a change")
	case documentOf(second, "b") == documentOf(first, "b"):
		t.Error("a change of a document has no effect")
	case documentOf(second, "d").Rules()[0].Expression() != documentOf(first, "c").Rules()[0].Expression():
		t.Error("an expression is compiled again without a change")
	case documentOf(second, "a") != nil, loader.Memory.compiled[when] != nil, len(loader.Memory.files) != 3:
		t.Error("what is gone is kept")
	}
	if plain := (Loader{}).LoadEach(nil, dir).Set; plain.Generation() != second.Generation() {
		t.Errorf("the generation depends on the memory: %s and %s", plain.Generation(), second.Generation())
	}
}

// Rejected documents are remembered with their problems, also those between files.
func TestRejectedDocumentsAreNotCompiledAgain(t *testing.T) {
	tree := fstest.MapFS{"a.yaml": remembered("a", "tru"), "b.yaml": remembered("b", "true"), "b2.yaml": remembered("b", "false"), "c.yaml": {Data: []byte("half: [")}}
	loader := Loader{Memory: new(Memory)}
	dir := Dir{Name: "p", Files: tree}
	first := loader.LoadEach(nil, dir)
	again := loader.readFolders([]Dir{dir}, true)
	for _, d := range again.documents {
		if d.source != nil {
			t.Errorf("%s is read again", d.file)
		}
	}
	second := loader.LoadEach(first.Set, dir)
	if got, want := second.Problems.Error(), first.Problems.Error(); got != want || !strings.Contains(want, "b.yaml:3:18: a document") || !strings.Contains(want, "c.yaml:1: ") {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	delete(tree, "b2.yaml")
	if third := loader.LoadEach(second.Set, dir); strings.Contains(third.Problems.Error(), "b.yaml") || documentOf(third.Set, "b") == nil {
		t.Errorf("what was wrong between two files is left: %s", third.Problems.Error())
	}
}

// A load drops the text and the nodes of a document as soon as it is compiled. Only lint and the like need them.
func TestALoadKeepsNoSources(t *testing.T) {
	dir := Dir{Name: "p", Files: fstest.MapFS{"a.yaml": remembered("a", "true"), "b.yaml": remembered("b", "tru")}}
	for keep, want := range map[bool]int{false: 0, true: 2} {
		kept := 0
		for _, d := range (Loader{}).readFolders([]Dir{dir}, keep).documents {
			if d.source != nil {
				kept++
			}
		}
		if kept != want {
			t.Errorf("keep %t: %d documents have their source, want %d", keep, kept, want)
		}
	}
}

// The same bytes give another result in another folder, or for another loader.
func TestTheMemoryTellsSettingsApart(t *testing.T) {
	tree := fstest.MapFS{"a.yaml": remembered("a", `claims.tctx.plan == "gold"`)}
	memory := new(Memory)
	plain := Dir{Name: "p", Files: tree}
	guardrail, bounded, renamed := plain, plain, plain
	guardrail.Guardrail, bounded.MayTarget, renamed.Name = true, []string{"ns/other/sa/*"}, "q"
	for name, row := range map[string]struct {
		loader Loader
		dir    Dir
		check  func(Loaded) bool
	}{
		"plain":        {Loader{}, plain, func(l Loaded) bool { return documentOf(l.Set, "a") != nil && !documentOf(l.Set, "a").Spec().Guardrail }},
		"guardrail":    {Loader{}, guardrail, func(l Loaded) bool { return documentOf(l.Set, "a").Spec().Guardrail }},
		"may target":   {Loader{}, bounded, func(l Loaded) bool { return len(l.Problems) == 1 }},
		"renamed":      {Loader{}, renamed, func(l Loaded) bool { return documentOf(l.Set, "a").Spec().Folder == "q" }},
		"members":      {Loader{Members: []string{"tenant"}}, plain, func(l Loaded) bool { return len(l.Problems) == 1 }},
		"no members":   {Loader{Members: []string{}}, plain, func(l Loaded) bool { return len(l.Problems) == 1 }},
		"no home":      {Loader{NoHomeIssuer: true}, plain, func(l Loaded) bool { return len(l.Problems) == 0 }},
		"trust domain": {Loader{Domains: identity.TrustDomains{Local: "x"}}, plain, func(l Loaded) bool { return len(l.Problems) == 0 }},
	} {
		for range 2 {
			row.loader.Memory = memory
			if loaded := row.loader.LoadEach(nil, row.dir); !row.check(loaded) {
				t.Errorf("%s: %v", name, loaded.Problems)
			}
			(Loader{Memory: memory}).LoadEach(nil, plain) // in between
		}
	}
}
