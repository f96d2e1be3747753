// Package policycli holds the parts that the commands of `meshpass policy` share: which
// documents a command reads, the claims of a token, and how values and names are printed.
// Each command has a package of its own below this one.
//
// All commands load and decide with shared/policy, as the authorizer does. Their output
// is therefore what the authorizer will do.
package policycli

import (
	"errors"
	"io"
	"os"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// DocumentSource names the documents that a command reads, and how to read them.
type DocumentSource struct {
	Sources    []string // folders, files, and - for Stdin, as on the command line
	Guardrails []string // like Sources; their deny rules apply to public entries too
	Stdin      io.Reader
	Domains    identity.TrustDomains
	Members    []string    // of tctx that tokens can have, beside Meshpass's own; nil: any
	Headers    []string    // that sidecars send, beside those that every decision needs; nil: all
	Unguarded  policy.Mode // for workloads that no document targets
}

// ErrNoSource is the error of a command line that names no documents.
var ErrNoSource = errors.New("name a folder of documents, a file, or - for standard input")

// OpenFolders opens all sources, guardrails last. A source is a folder, a file or -. It
// is written NAME=SOURCE where the configuration has another name for the folder than
// the last element of its path. Files of one folder become one folder, and messages name
// each file as the user wrote it.
func (s DocumentSource) OpenFolders() ([]source.Dir, error) {
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

// LoadSet opens all sources and loads their documents. One rejected document rejects
// them all, because no answer of the others could be relied on.
func (s DocumentSource) LoadSet() (*policy.Set, error) {
	dirs, err := s.OpenFolders()
	if err != nil {
		return nil, err
	}
	return s.LoadFolders(dirs)
}

// LoadFolders is [DocumentSource.LoadSet] for folders that are open already.
func (s DocumentSource) LoadFolders(dirs []source.Dir) (*policy.Set, error) {
	set, err := s.Loader().Load(FoldersWithDocuments(dirs)...)
	if err != nil {
		return nil, err
	}
	return set.With(s.Unguarded, nil), nil
}

// Loader returns the loader that reads the documents.
func (s DocumentSource) Loader() source.Loader {
	return source.Loader{Domains: s.Domains, Members: s.Members, AllowedHeaders: s.Headers}
}

// WatchedInputs returns the files whose changes change what the command reads.
func (s DocumentSource) WatchedInputs() []reload.Input {
	var all []reload.Input
	for _, text := range append(append([]string{}, s.Sources...), s.Guardrails...) {
		_, path := splitName(text)
		input := reload.Input{Path: path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			input.Wanted = source.IsRead
		}
		all = append(all, input)
	}
	return all
}

// PairFolders gives a folder of one version the name of its counterpart in the other
// version. Folders of the same name are a pair. Where each version has a single folder,
// these two are a pair too, and changed gets the name that the folder has in old.
// Guardrails are paired among themselves by the same rule.
func PairFolders(old, changed []source.Dir) {
	for _, guardrail := range []bool{false, true} {
		before, after := foldersOfKind(old, guardrail), foldersOfKind(changed, guardrail)
		if len(before) == 1 && len(after) == 1 {
			after[0].Name = before[0].Name
		}
	}
}

func foldersOfKind(dirs []source.Dir, guardrail bool) []*source.Dir {
	var chosen []*source.Dir
	for i := range dirs {
		if dirs[i].Guardrail == guardrail {
			chosen = append(chosen, &dirs[i])
		}
	}
	return chosen
}
