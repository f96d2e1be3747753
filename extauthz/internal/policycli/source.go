// Package policycli is `meshpass policy`: what its commands have in common. Each
// command has a folder of its own.
//
// All of them load and decide with shared/policy, as the authorizer does, so that
// what they say is what will happen.
package policycli

import (
	"errors"
	"io"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// DocumentSource says which documents a command works on, and how they are read.
type DocumentSource struct {
	Sources    []string // folders, files, and - for Stdin
	Guardrails []string // as Sources; their deny rules apply to public entries too
	Stdin      io.Reader
	Domains    identity.TrustDomains
	Members    []string    // of tctx that tokens can have, beside our own; nil: any
	Unguarded  policy.Mode // what happens to workloads that no document targets
}

// ErrNoFolder says that no documents are named.
var ErrNoSource = errors.New("name a folder of documents, a file, or - for standard input")

// Loader is how the documents are read.
func (s DocumentSource) Loader() policy.Loader {
	return policy.Loader{Domains: s.Domains, Members: s.Members}
}

// OpenFolders opens all sources, guardrails last. Each is a folder, a file or -, and
// NAME=SOURCE where the folder's name in the configuration is not the last element of
// its path. Files of one folder become one folder, whose messages name each file as
// it was given.
func (s DocumentSource) OpenFolders() ([]policy.Dir, error) {
	if len(s.Sources)+len(s.Guardrails) == 0 {
		return nil, ErrNoSource
	}
	o := folderOpener{stdin: s.Stdin}
	for _, text := range s.Sources {
		if err := o.openSource(text, false); err != nil {
			return nil, err
		}
	}
	for _, text := range s.Guardrails {
		if err := o.openSource(text, true); err != nil {
			return nil, err
		}
	}
	return o.checkedFolders()
}

// PairFolders says which folders of two versions are one: those of the same name, and
// where each version has one folder, these two, whatever they are called. The same
// holds for guardrails.
func PairFolders(old, changed []policy.Dir) {
	for _, guardrail := range []bool{false, true} {
		before, after := foldersOfKind(old, guardrail), foldersOfKind(changed, guardrail)
		if len(before) == 1 && len(after) == 1 {
			after[0].Name = before[0].Name
		}
	}
}

func foldersOfKind(dirs []policy.Dir, guardrail bool) (chosen []*policy.Dir) {
	for i := range dirs {
		if dirs[i].Guardrail == guardrail {
			chosen = append(chosen, &dirs[i])
		}
	}
	return chosen
}

// FoldersWithDocuments leaves out folders that were made of files of cases alone: an empty
// folder of documents is an error, and such a folder is meant to have none.
func FoldersWithDocuments(dirs []policy.Dir) []policy.Dir {
	var chosen []policy.Dir
	for _, dir := range dirs {
		if files, ok := dir.Files.(memoryFiles); !ok || !files.holdOnlyCases() {
			chosen = append(chosen, dir)
		}
	}
	return chosen
}

// LoadSet loads all documents; one that is rejected rejects them all, as no answer of
// the rest could be relied on.
func (s DocumentSource) LoadSet() (*policy.Set, error) {
	dirs, err := s.OpenFolders()
	if err != nil {
		return nil, err
	}
	return s.LoadFolders(dirs)
}

// LoadFolders is [Source.LoadSet] of folders that are open.
func (s DocumentSource) LoadFolders(dirs []policy.Dir) (*policy.Set, error) {
	set, err := s.Loader().Load(FoldersWithDocuments(dirs)...)
	if err != nil {
		return nil, err
	}
	return set.With(s.Unguarded, nil), nil
}
