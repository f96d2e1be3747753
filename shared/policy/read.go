package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// reading is what was found in all folders.
type reading struct {
	loader    Loader
	names     []string // of folders
	files     []*fileOutcome
	documents []*outcome
	lost      []refusal // files and folders that cannot be read
	problems  strictyaml.Problems
	wanted    string
	unread    int
}

// fileOutcome is what became of a file.
type fileOutcome struct {
	key       fileKey
	documents []*outcome
	err       error // the file cannot be read as YAML, and there are no documents
}

// outcome is what became of a document. It may come from an earlier load.
type outcome struct {
	name, folder, file string
	namePlace          strictyaml.Position
	compiled           *compiled
	problems           strictyaml.Problems
	refusal            refusal // what is denied if the document cannot be used
	source             *source // nil: an earlier load compiled it
}

// usable gives the compiled document; nil: it is rejected.
func (d *outcome) usable() *compiled {
	if len(d.problems) > 0 {
		return nil
	}
	return d.compiled
}

func (r *reading) folder(dir Dir) {
	f, err := newFolder(dir, r.loader.Domains)
	var files []yamlFile
	switch {
	case slices.Contains(r.names, dir.Name):
		err = strictyaml.Problems{{Message: fmt.Sprintf("a second folder named %q: give it another name", dir.Name)}}
	case err == nil:
		files, err = yamlFiles(dir)
	}
	r.names = append(r.names, dir.Name)
	if err != nil {
		r.lose(f, dir.path(), err, false)
	}
	found := make([]*fileOutcome, len(files))
	each(len(files), func(i int) {
		if files[i].err == nil {
			found[i] = r.file(f, files[i])
		}
	})
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00", r.wanted)
	for i, file := range files {
		fmt.Fprintf(sum, "%s\x00%d\x00%s", file.name, len(file.data), file.data)
		if file.err != nil {
			r.lose(f, dir.FilePath(file.name), file.err, file.noDocument())
			continue
		}
		r.files = append(r.files, found[i])
		r.documents = append(r.documents, found[i].documents...)
		if err := found[i].err; err != nil {
			r.lose(f, dir.FilePath(file.name), err, false)
		}
	}
	r.wanted = hex.EncodeToString(sum.Sum(nil)[:6])
}

// file parses a file, unless that was done in an earlier load.
func (r *reading) file(f *folder, file yamlFile) *fileOutcome {
	key := fileKey{settings: r.loader.settings(f.Dir), file: file.name, content: sha256.Sum256(file.data)}
	if known := r.loader.Memory.recall(key); known != nil {
		return known
	}
	o := &fileOutcome{key: key}
	sources, err := readDocuments(f, f.FilePath(file.name), key.content, file.data)
	o.err = err
	for _, s := range sources {
		o.documents = append(o.documents, &outcome{
			name: s.Metadata.Name, folder: f.Name, file: s.file, namePlace: s.yaml.At("metadata", "name"), refusal: s.refusal(), source: s,
		})
	}
	return o
}

// lose notes a file or folder that cannot be read; empty: it could hold no document.
func (r *reading) lose(f *folder, name string, err error, empty bool) {
	r.problems = append(r.problems, asProblems(err).In(name)...)
	r.lost = append(r.lost, refusal{name: name, file: name, folder: f.Name, scopes: f.scopes, guardrail: f.Guardrail, empty: empty})
	var problems strictyaml.Problems
	if !errors.As(err, &problems) && !errors.Is(err, errNoFile) && !errors.Is(err, readfile.ErrTooLarge) {
		r.unread++
	}
}

// compile does what no earlier load has done.
func (r *reading) compile() {
	var fresh []*outcome
	var texts []string
	for _, d := range r.documents {
		if d.source == nil {
			continue
		}
		fresh = append(fresh, d)
		for i := range d.source.Spec.Rules {
			texts = append(texts, d.source.Spec.Rules[i].When)
		}
	}
	c := compiler{Loader: r.loader, expressions: r.loader.Memory.expressions(texts)}
	each(len(fresh), func(i int) {
		d := fresh[i]
		if d.source.formed {
			d.compiled = c.compile(d.source)
		}
		d.problems = slices.Clip(d.source.problems.In(d.file))
	})
}
