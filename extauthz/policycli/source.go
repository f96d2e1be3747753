// Package policycli is `meshpass policy`: what its commands have in common. Each
// command has a folder of its own.
//
// All of them load and decide with shared/policy, as the authorizer does, so that
// what they say is what will happen.
package policycli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Source says which documents a command works on, and how they are read.
type Source struct {
	Sources    []string // folders, files, and - for Stdin
	Guardrails []string // as Sources; their deny rules apply to public entries too
	Stdin      io.Reader
	Domains    identity.TrustDomains
	Members    []string    // of tctx that tokens can have, beside our own; nil: any
	Unguarded  policy.Mode // what happens to workloads that no document targets
}

// ErrNoFolder says that a command was told no folder of documents.
var ErrNoFolder = errors.New("name a folder of documents")

// Loader is how the documents are read.
func (s Source) Loader() policy.Loader { return policy.Loader{Domains: s.Domains, Members: s.Members} }

// Folders opens the folders, guardrails last. Each is DIR, or NAME=DIR where the
// last element of the path is not the name that the configuration gives it.
func (s Source) Folders() ([]policy.Dir, error) {
	if len(s.Sources)+len(s.Guardrails) == 0 {
		return nil, ErrNoFolder
	}
	var all []policy.Dir
	for i, text := range append(append([]string{}, s.Sources...), s.Guardrails...) {
		dir, err := open(text)
		if err != nil {
			return nil, err
		}
		dir.Guardrail = i >= len(s.Sources)
		for _, other := range all {
			switch {
			case policy.Overlap(dir.Path, other.Path):
				return nil, fmt.Errorf("%s and %s are one folder, or one is inside the other: name folders that have no file in common", other.Path, dir.Path)
			case dir.Name == other.Name:
				return nil, fmt.Errorf("two folders are named %q, %s and %s: give one of them another name, as in NAME=%s", dir.Name, other.Path, dir.Path, dir.Path)
			}
		}
		all = append(all, dir)
	}
	return all, nil
}

func open(text string) (policy.Dir, error) {
	path := text
	name, rest, named := strings.Cut(text, "=")
	if named = named && policy.IsDirName(name); named {
		path = rest
	}
	info, err := os.Stat(path)
	if err != nil {
		return policy.Dir{}, err
	}
	if !info.IsDir() {
		return policy.Dir{}, fmt.Errorf("%s is a file: name the folder that holds it", path)
	}
	dir := policy.OSDir(filepath.Clean(path))
	if named {
		dir.Name = name
	}
	return dir, nil
}

// Pair says which folders of two versions are one: those of the same name, and
// where each version has one folder, these two, whatever they are called. The same
// holds for guardrails.
func Pair(old, changed []policy.Dir) {
	for _, guardrail := range []bool{false, true} {
		before, after := only(old, guardrail), only(changed, guardrail)
		if len(before) == 1 && len(after) == 1 {
			after[0].Name = before[0].Name
		}
	}
}

func only(dirs []policy.Dir, guardrail bool) (chosen []*policy.Dir) {
	for i := range dirs {
		if dirs[i].Guardrail == guardrail {
			chosen = append(chosen, &dirs[i])
		}
	}
	return chosen
}

// Set loads all documents; one that is rejected rejects them all, as no answer of
// the rest could be relied on.
func (s Source) Set() (*policy.Set, error) {
	dirs, err := s.Folders()
	if err != nil {
		return nil, err
	}
	return s.Load(dirs)
}

// Load is [Source.Set] of folders that are open.
func (s Source) Load(dirs []policy.Dir) (*policy.Set, error) {
	set, err := s.Loader().Load(dirs...)
	if err != nil {
		return nil, err
	}
	return set.With(s.Unguarded, nil), nil
}
