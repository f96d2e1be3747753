package policy

import (
	"fmt"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// Loader says what documents are read against. The zero Loader knows no trust
// domain, as a command line may that has no configuration at hand.
type Loader struct {
	Domains identity.TrustDomains // a workload of these is named ns/…, never spiffe://…
	Members []string              // of tctx that tokens can have, beside our own; nil: any

	// NoHomeIssuer says that no trusted issuer is home, so that there is no outage
	// which onOutage: allow could mean: documents that say it are refused.
	NoHomeIssuer bool

	// Memory keeps what was compiled for the next load; nil: nothing is kept.
	Memory *Memory
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
	Wanted   string              // generation of what the folders hold; that of Set where nothing is rejected
	Problems strictyaml.Problems // all that is wrong, in all files
	Refused  []Refused           // what is not active as the folders hold it
	unread   int
}

// Unread is the number of files and folders that could not be read. Unlike all other
// problems, these can end without a change of any file.
func (l Loaded) Unread() int { return l.unread }

// Refused is a document that cannot be used, or a file or folder that cannot be read.
type Refused struct {
	Name   string // of the document; of a file or folder, its path
	Folder string // its name
	File   string

	// Denied says that all which it guards is denied, as there is no last good
	// version since the start. Otherwise what was active stays.
	Denied bool
}

// LoadEach loads what can be used. Of a document that is rejected, the last good
// version stays active, out of previous; a new one changes nothing. At the start,
// where previous is nil, all that it targets is denied with policy_refused, and of
// a file that cannot be read all that its folder may target, because nobody knows
// what it holds; so it stays until that is fixed. What is no file, such as a named
// pipe, holds nothing, and denies nothing.
func (l Loader) LoadEach(previous *Set, dirs ...Dir) Loaded {
	read := l.read(dirs)
	return read.settle(previous)
}

// read compiles all documents of all folders.
func (l Loader) read(dirs []Dir) *reading {
	r := &reading{loader: l}
	for i := range dirs {
		r.folder(dirs[i])
	}
	r.compile()
	r.loader.Memory.keep(r)
	r.checkNames()
	return r
}

// checkNames rejects the documents of a folder that share a name. Each folder has
// names of its own: no team can take the name of another team's document.
func (r *reading) checkNames() {
	first := map[docKey]*outcome{}
	for _, d := range r.documents {
		if d.name == "" {
			continue
		}
		key := docKey{d.folder, d.name}
		other := first[key]
		if other == nil {
			first[key] = d
			continue
		}
		d.reject("a document %q is in %s too: names are unique in a folder", d.name, other.file)
		if len(other.problems) == 0 {
			other.reject("a document %q is in %s too: names are unique in a folder", d.name, d.file)
		}
	}
}

// settle puts together what is active: what compiled, what is kept of previous, and
// what is denied because there is neither.
func (r *reading) settle(previous *Set) Loaded {
	s := settlement{reading: r, previous: previous, active: map[docKey]bool{}}
	for _, d := range r.documents {
		if c := d.usable(); c != nil {
			s.documents, s.active[c.key()] = append(s.documents, c), true
		}
		r.problems = append(r.problems, d.problems...)
	}
	return s.loaded()
}

func (d *outcome) reject(format string, args ...any) {
	problem := strictyaml.Problem{File: d.file, Position: d.namePlace, Message: fmt.Sprintf(format, args...)}
	d.problems = append(d.problems[:len(d.problems):len(d.problems)], problem) // the slice is remembered
}
