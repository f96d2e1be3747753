package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// Loader says what documents are read against. The zero Loader knows no trust
// domain, as a command line may that has no configuration at hand.
type Loader struct {
	Domains identity.TrustDomains // a workload of these is named ns/…, never spiffe://…
	Members []string              // of tctx that tokens can have, beside our own; nil: any

	// NoHomeIssuer says that no trusted issuer is home, so that there is no outage
	// which onOutage: allow could mean: documents that say it are refused.
	NoHomeIssuer bool
}

// Load is [Loader.Load] of the zero Loader.
func Load(dirs ...Dir) (*Set, error) { return Loader{}.Load(dirs...) }

// Load compiles every *.yaml and *.yml below the folders. Hidden names are passed
// over: a mounted ConfigMap keeps its versions in them. All problems of all files
// come back together, as [strictyaml.Problems], and then there is no Set.
func (l Loader) Load(dirs ...Dir) (*Set, error) {
	loaded := l.LoadEach(nil, dirs...)
	if err := loaded.Problems.Err(); err != nil {
		return nil, err
	}
	return loaded.Set, nil
}

// Loaded is the outcome of [Loader.LoadEach].
type Loaded struct {
	Set      *Set                // never nil
	Wanted   string              // generation of what the folders hold; that of Set where nothing is refused
	Problems strictyaml.Problems // all that is wrong, in all files
	Refused  []Refused           // what is not in force as the folders hold it
}

// Refused is a document that cannot be used, or a file or folder that cannot be read.
type Refused struct {
	Name string // of the document; of a file or folder, its path
	File string

	// Denied says that all which it guards is denied, as there is no last good
	// version since the start. Otherwise what was in force stays.
	Denied bool
}

// LoadEach loads what can be used. Of a document that is refused, the last good
// version stays in force, out of previous; a new one changes nothing. At the
// start, where previous is nil, all that it targets is denied with policy_refused,
// and of a file that cannot be read all that its folder may target, because nobody
// knows what stands in it; so it stays until that is mended.
func (l Loader) LoadEach(previous *Set, dirs ...Dir) Loaded {
	var read reading
	for i := range dirs {
		read.folder(dirs[i], l.Domains)
	}
	read.compile(l)
	return read.settle(previous)
}

// reading is what was found in all folders.
type reading struct {
	sources  []*source
	compiled map[*source]*compiled
	lost     []refusal // files and folders that cannot be read
	problems strictyaml.Problems
	wanted   string
}

func (r *reading) folder(dir Dir, domains identity.TrustDomains) {
	f, err := newFolder(dir, domains)
	var files []yamlFile
	if err == nil {
		files, err = yamlFiles(dir)
	}
	if err != nil {
		r.lose(f, dir.Name, err)
	}
	parsed, failures := make([][]*source, len(files)), make([]error, len(files))
	each(len(files), func(i int) {
		parsed[i], failures[i] = readDocuments(f, path.Join(dir.Name, files[i].name), files[i].data)
	})
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00", r.wanted)
	for i, file := range files {
		if failures[i] != nil {
			r.lose(f, path.Join(dir.Name, file.name), failures[i])
		}
		r.sources = append(r.sources, parsed[i]...)
		fmt.Fprintf(sum, "%s\x00%d\x00%s", file.name, len(file.data), file.data)
	}
	r.wanted = hex.EncodeToString(sum.Sum(nil)[:6])
}

// lose notes a file or folder that cannot be read.
func (r *reading) lose(f *folder, name string, err error) {
	r.problems = append(r.problems, asProblems(err).In(name)...)
	r.lost = append(r.lost, refusal{name: name, file: name, folder: f.Name, scopes: f.scopes, guardrail: f.Guardrail})
}

// compile also finds names that stand twice: the first folder, in the order of
// the configuration, keeps its own, so that no team can take another's.
func (r *reading) compile(l Loader) {
	var texts []string
	owner := map[string]*source{}
	for _, s := range r.sources {
		if other := owner[s.Metadata.Name]; other != nil {
			twice(s, other)
		} else {
			owner[s.Metadata.Name] = s
		}
		for i := range s.Spec.Rules {
			texts = append(texts, s.Spec.Rules[i].When)
		}
	}
	c := compiler{Loader: l, expressions: compileExpressions(texts)}
	compiled := make([]*compiled, len(r.sources))
	each(len(r.sources), func(i int) {
		if s := r.sources[i]; s.formed {
			compiled[i] = c.compile(s)
		}
	})
	r.keep(compiled)
}

// twice refuses a name's second document, and within one folder the first too.
func twice(s, first *source) {
	s.problems.Add(s.yaml.At("metadata", "name"), "a document %q stands in %s too", s.Metadata.Name, first.file)
	if s.folder == first.folder && len(first.problems) == 0 {
		first.problems.Add(first.yaml.At("metadata", "name"), "a document %q stands in %s too", s.Metadata.Name, s.file)
	}
}

func (r *reading) keep(all []*compiled) {
	r.compiled = map[*source]*compiled{}
	for i, s := range r.sources {
		r.problems = append(r.problems, s.problems.In(s.file)...)
		if len(s.problems) == 0 {
			r.compiled[s] = all[i]
		}
	}
}

// settle puts together what is in force: what compiled, what is kept of previous,
// and what is denied for want of both.
func (r *reading) settle(previous *Set) Loaded {
	s := settlement{reading: r, previous: previous, inForce: map[docKey]bool{}}
	for _, source := range r.sources {
		if c := r.compiled[source]; c != nil {
			s.documents, s.inForce[c.key()] = append(s.documents, c), true
		}
	}
	s.refuse()
	slices.SortFunc(s.documents, compareDocuments)
	slices.SortFunc(s.refusals, compareRefusals)
	set := newSet(s.documents, s.refusals)
	set.generation = s.generation()
	if previous != nil {
		set = set.With(previous.unguarded, previous.overrides)
	}
	return Loaded{Set: set, Wanted: r.wanted, Problems: r.problems, Refused: s.reported}
}
