// Package source compiles folders of AccessPolicy documents in YAML into a set that the
// engine, package policy, decides by.
//
// [Loader.Load] accepts folders without a problem only. [Loader.LoadEach] is for a
// running program: of a rejected document, the last good version stays active. What is
// valid YAML and also suspicious is the subject of package lint.
package source

import (
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Loader says what documents are read against. The zero Loader knows no trust
// domain, as a command line may that has no configuration at hand.
type Loader struct {
	Domains identity.TrustDomains // a workload of these is named ns/…, never spiffe://…
	Members []string              // of tctx that tokens can have, beside our own; nil: any

	// NoHomeIssuer says that no trusted issuer is home, so that there is no outage
	// which onOutage: allow could mean: documents that say it are rejected.
	NoHomeIssuer bool

	// Memory keeps what was compiled for the next load; nil: nothing is kept.
	Memory *Memory
}

// Load compiles every *.yaml and *.yml below the folders. Hidden names are passed
// over: a mounted ConfigMap keeps its versions in them. All problems of all files
// come back together, as [strictyaml.Problems], and then there is no Set.
func (l Loader) Load(dirs ...Dir) (*policy.Set, error) {
	loaded := l.LoadEach(nil, dirs...)
	if err := loaded.Problems.Err(); err != nil {
		return nil, err
	}
	return loaded.Set, nil
}

// LoadEach loads the documents that can be used. Of a document that is rejected, the last
// good version stays active, out of previous; a new one changes nothing. At the start,
// where previous is nil, all that it targets is denied with policy_refused, and of
// a file that cannot be read all that its folder may target, because its documents are
// not known. Both stay denied until the file is fixed. What is no file, such as a named
// pipe, holds nothing, and denies nothing.
func (l Loader) LoadEach(previous *policy.Set, dirs ...Dir) Loaded {
	return l.read(dirs).activate(previous)
}

// Loaded is the outcome of [Loader.LoadEach].
type Loaded struct {
	Set      *policy.Set         // never nil
	Wanted   string              // generation of what the folders hold; that of Set where nothing is rejected
	Problems strictyaml.Problems // all that is wrong, in all files
	Rejected []Rejected          // what is not active as the folders hold it
	unread   int
}

// Unread is the number of files and folders that could not be read. Unlike all other
// problems, these can end without a change of any file.
func (l Loaded) Unread() int { return l.unread }

// Rejected is a document that cannot be used, or a file or folder that cannot be read.
type Rejected struct {
	Name   string // of the document; of a file or folder, its path
	Folder string // its name
	File   string

	// Denied says that requests to all that it guards are denied, as there is no last good
	// version since the start. Otherwise the previous version stays active.
	Denied bool
}

// Documents reads the folders as [Loader.Load] does, and gives all documents that can be
// used, with the places of their parts. All problems come back beside them, in the order
// of files.
func (l Loader) Documents(dirs ...Dir) ([]*Document, strictyaml.Problems) {
	l.Memory = nil // remembered documents have no places
	found := l.read(dirs)
	var usable []*Document
	for _, d := range found.documents {
		if c := d.usable(); c != nil {
			usable = append(usable, d.source)
		}
		found.problems = append(found.problems, d.problems...)
	}
	return usable, found.problems
}
