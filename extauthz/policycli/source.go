// Package policycli is `meshpass policy`: what its commands have in common. Each
// command has a folder of its own.
//
// All of them load and decide with shared/policy, as the authorizer does, so that
// what they say is what will happen.
package policycli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Source says which documents a command works on, and how they are read.
type Source struct {
	Dirs       []string
	Guardrails []string // folders whose deny rules hold against public entries too
	Domains    identity.TrustDomains
	Members    []string    // of tctx that tokens can have, beside our own; nil: any
	Unguarded  policy.Mode // what happens to workloads that no document targets
}

// ErrNoFolder says that a command was told no folder of documents.
var ErrNoFolder = errors.New("name a folder of documents")

// Loader is how the documents are read.
func (s Source) Loader() policy.Loader { return policy.Loader{Domains: s.Domains, Members: s.Members} }

// Folders opens the folders, guardrails last.
func (s Source) Folders() ([]policy.Dir, error) {
	if len(s.Dirs)+len(s.Guardrails) == 0 {
		return nil, ErrNoFolder
	}
	var all []policy.Dir
	for i, name := range append(append([]string{}, s.Dirs...), s.Guardrails...) {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("%s is a file: name the folder that holds it", name)
		}
		dir := policy.OSDir(filepath.Clean(name))
		dir.Guardrail = i >= len(s.Dirs)
		all = append(all, dir)
	}
	return all, nil
}

// Set loads all documents; one that is refused refuses them all, as no answer of
// the rest could be relied on.
func (s Source) Set() (*policy.Set, error) {
	dirs, err := s.Folders()
	if err != nil {
		return nil, err
	}
	set, err := s.Loader().Load(dirs...)
	if err != nil {
		return nil, err
	}
	return set.With(s.Unguarded, nil), nil
}
