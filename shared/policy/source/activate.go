package source

import (
	"slices"

	"github.com/meshpass/meshpass/shared/policy"
)

// Rejected is a document that cannot be used, or a file or folder that cannot be read.
type Rejected struct {
	Name   string // of the document; of a file or folder, its path
	Folder string // its name
	File   string

	// Denied means that requests to everything that it guards are denied, because no good
	// version was loaded since the start. Otherwise the previous version stays active.
	Denied bool
}

// activation decides which documents are active after a load.
type activation struct {
	previous  *policy.Set // nil: at the start
	active    map[documentKey]bool
	documents []*policy.Document
	denied    []policy.RejectedDocument
	reported  []Rejected
}

// documentKey names a document across versions. Another folder's document of the same
// name is another one, so that no team can replace an active document of another team.
type documentKey struct{ folder, name string }

func keyOf(d *policy.Document) documentKey { return documentKey{d.Spec().Folder, d.Spec().Name} }

func keyOfRejected(r policy.RejectedDocument) documentKey { return documentKey{r.Folder, r.Name} }

// activate chooses the documents that compiled, previous versions that stay active, and
// rejected documents that are denied because they have neither.
func activate(previous *policy.Set, documents []*documentResult, unreadable []failure) activation {
	a := activation{previous: previous, active: map[documentKey]bool{}}
	for _, d := range documents {
		if usable := d.usableDocument(); usable != nil {
			a.documents, a.active[keyOf(usable)] = append(a.documents, usable), true
		}
	}
	for _, d := range documents {
		if d.usableDocument() == nil {
			a.replaceFailed(d.failure)
		}
	}
	for _, f := range unreadable {
		a.replaceFailed(f)
	}
	return a
}

// newSet makes the set. The generation is that of the folders.
func (a *activation) newSet(generation string) *policy.Set {
	if len(a.reported) > 0 {
		generation = "" // the set differs from the folders
	}
	if a.previous == nil {
		return policy.NewSet(a.documents, a.denied, generation)
	}
	return a.previous.Next(a.documents, a.denied, generation)
}

// replaceFailed decides what replaces a document or file that failed to load:
//
//  1. It is denied already, or this is the start: deny the workloads that it guards.
//  2. A previous version is active: keep that version.
//  3. Neither, as for a new document or a file that cannot be read. It may hold any
//     document that is now missing from its folder. So keep every missing document of
//     the folder as it was, active or denied.
//
// A document in shadow, and what is no file, deny nothing at the start.
func (a *activation) replaceFailed(f failure) {
	r := f.rejected
	denied := !f.shadow && !f.holdsNoDocument && (a.previous == nil || a.wasDenied(r))
	switch {
	case denied:
		a.addDenied(r)
	case a.previous == nil:
	case f.holdsNoDocument:
		a.keepPrevious(func(d *policy.Document) bool { return d.Spec().Folder == r.Folder && d.Spec().File == r.File })
	case !a.keepPrevious(func(d *policy.Document) bool { return keyOf(d) == keyOfRejected(r) }):
		a.keepPrevious(func(d *policy.Document) bool { return d.Spec().Folder == r.Folder })
		for _, old := range a.previous.Rejected() {
			if old.Folder == r.Folder && !a.active[keyOfRejected(old)] {
				a.addDenied(old)
			}
		}
	}
	a.reported = append(a.reported, Rejected{Name: r.Name, Folder: r.Folder, File: r.File, Denied: denied})
}

// keepPrevious keeps the chosen documents of the previous set, unless another version of
// them is active. It reports whether any was chosen.
func (a *activation) keepPrevious(chosen func(*policy.Document) bool) (found bool) {
	for _, d := range a.previous.CompiledDocuments() {
		if !chosen(d) {
			continue
		}
		found = true
		if !a.active[keyOf(d)] {
			a.active[keyOf(d)] = true
			a.documents = append(a.documents, d)
		}
	}
	return found
}

// addDenied keeps both of two rejected documents of one name, as each has targets of its own.
func (a *activation) addDenied(r policy.RejectedDocument) {
	if !slices.ContainsFunc(a.denied, func(o policy.RejectedDocument) bool {
		return keyOfRejected(o) == keyOfRejected(r) && slices.Equal(o.Targets, r.Targets)
	}) {
		a.denied = append(a.denied, r)
	}
}

func (a *activation) wasDenied(r policy.RejectedDocument) bool {
	return slices.ContainsFunc(a.previous.Rejected(), func(o policy.RejectedDocument) bool { return keyOfRejected(o) == keyOfRejected(r) })
}
