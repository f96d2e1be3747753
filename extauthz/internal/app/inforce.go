package app

import (
	"strings"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

// documentSource is not up to date while any document is refused, even where all
// the others are in force.
type documentSource struct {
	*reload.Value[policysource.Loaded]
}

func (s documentSource) Err() error {
	if err := s.Value.Err(); err != nil {
		return err
	}
	return s.Get().Problems.Err()
}

// watchDocuments follows the folders. Of a document that is refused, the version
// before stays in force; it is looked for in what is in force, not in what was
// loaded last, which may have been thrown away because the files moved.
// Strict makes the problem of one document a problem of the whole change.
func (a *authorizer) watchDocuments(l *loader, from folders) {
	loader := policysource.Loader{Domains: a.domains, Memory: new(policysource.Memory)}
	var err error
	a.documents, err = reload.New(from.inputs(), func() (policysource.Loaded, error) {
		var previous *policy.Set
		if a.documents != nil {
			previous = a.documents.Get().Set
		}
		loader.NoHomeIssuer = a.homeless.Load()
		loaded := loader.LoadEach(previous, from.dirs()...)
		a.wanted.Store(&loaded.Wanted)
		if !a.Strict {
			return loaded, nil
		}
		if err := loaded.Problems.Err(); loaded.Unread() > 0 {
			return loaded, err
		}
		return loaded, reload.Final(loaded.Problems.Err())
	}, a.documentsChanged)
	l.check.RejectError(strictyaml.Path{"policies"}, err)
}

// enforce puts documents and overrides in force together. Both change on their own.
func (a *authorizer) enforce() {
	a.changing.Lock()
	defer a.changing.Unlock()
	var overrides []policy.Override
	if a.overrides != nil {
		overrides = a.overrides.Get()
	}
	set := a.documents.Get().Set.With(a.unguarded, overrides)
	if a.homeless.Load() {
		set = set.WithoutOutage()
	}
	a.inForce.Store(set)
}

func (a *authorizer) documentsChanged(loaded policysource.Loaded, err error) {
	if a.refused(policiesSource, err) {
		return
	}
	a.enforce()
	a.Log.Info("policies reloaded", "policies", loaded.Set.Len(), "generation", loaded.Set.Generation())
	if a.tellRefused(loaded) {
		a.metrics.ChangeRefused(policiesSource)
	}
}

// tellRefused names the documents that cannot be used, and what holds instead.
func (a *authorizer) tellRefused(loaded policysource.Loaded) bool {
	if len(loaded.Problems) == 0 {
		return false
	}
	var kept, denied []string
	for _, r := range loaded.Rejected {
		name := loaded.Set.QualifiedName(r.Folder, r.Name)
		if r.Denied {
			denied = append(denied, name)
		} else {
			kept = append(kept, name)
		}
	}
	a.Log.Error("documents refused, all others are active", "source", policiesSource,
		"last_good", kept, "targets_denied", denied, "wanted", loaded.Wanted,
		"problems", strings.Split(loaded.Problems.Error(), "\n"))
	return true
}
