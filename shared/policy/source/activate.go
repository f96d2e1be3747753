package source

import (
	"slices"

	"github.com/meshpass/meshpass/shared/policy"
)

// activation decides which documents are active after a load.
type activation struct {
	contents  *contents
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

// failure is a document, file or folder that cannot be used.
type failure struct {
	rejected        policy.RejectedDocument
	shadow          bool // of a document: it denies nothing
	holdsNoDocument bool // it is no file: it denies nothing either
}

// activate makes a set of the documents that compiled, of previous versions that stay
// active, and of those that are denied because there is neither.
func (c *contents) activate(previous *policy.Set) Loaded {
	a := activation{contents: c, previous: previous, active: map[documentKey]bool{}}
	for _, d := range c.documents {
		if usable := d.usable(); usable != nil {
			a.documents, a.active[keyOf(usable)] = append(a.documents, usable), true
		}
		c.problems = append(c.problems, d.problems...)
	}
	for _, d := range c.documents {
		if d.usable() == nil {
			a.replaceFailed(d.failure)
		}
	}
	for _, f := range c.unreadable {
		a.replaceFailed(f)
	}
	return a.loaded()
}

func (a *activation) loaded() Loaded {
	generation := a.contents.generation
	if len(a.reported) > 0 {
		generation = "" // the set is not what the folders hold
	}
	set := policy.NewSet(a.documents, a.denied, generation)
	if a.previous != nil {
		set = set.WithOverridesOf(a.previous)
	}
	return Loaded{Set: set, Wanted: a.contents.generation, Problems: a.contents.problems, Rejected: a.reported, unread: a.contents.unread}
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
		a.deny(r)
	case a.previous == nil:
	case f.holdsNoDocument:
		a.keepPrevious(func(d *policy.Document) bool { return d.Spec().Folder == r.Folder && d.Spec().File == r.File })
	case !a.keepPrevious(func(d *policy.Document) bool { return keyOf(d) == keyOfRejected(r) }):
		a.keepPrevious(func(d *policy.Document) bool { return d.Spec().Folder == r.Folder })
		for _, old := range a.previous.Rejected() {
			if old.Folder == r.Folder && !a.active[keyOfRejected(old)] {
				a.deny(old)
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

// deny keeps both of two rejected documents of one name, as each has targets of its own.
func (a *activation) deny(r policy.RejectedDocument) {
	if !slices.ContainsFunc(a.denied, func(o policy.RejectedDocument) bool {
		return keyOfRejected(o) == keyOfRejected(r) && slices.Equal(o.Targets, r.Targets)
	}) {
		a.denied = append(a.denied, r)
	}
}

func (a *activation) wasDenied(r policy.RejectedDocument) bool {
	return slices.ContainsFunc(a.previous.Rejected(), func(o policy.RejectedDocument) bool { return keyOfRejected(o) == keyOfRejected(r) })
}

// failure denies the targets of the document. A document may not deny targets that
// cannot be read, or that its folder may not name: then it denies all that its folder may
// target.
func (d *Document) failure() failure {
	r := policy.RejectedDocument{Name: d.Policy.Metadata.Name, File: d.File, Folder: d.folder.Name, Guardrail: d.folder.Guardrail}
	if r.Name == "" {
		r.Name = d.File
	}
	f := failure{rejected: r, shadow: d.isShadow()}
	for _, text := range d.Policy.Spec.Targets.Workloads {
		target, err := d.folder.domains.ParseTarget(text)
		if err != nil || !d.folder.permits(target) {
			f.rejected.Targets = d.folder.mayTarget
			return f
		}
		f.rejected.Targets = append(f.rejected.Targets, policy.CalleeSet{Target: target})
	}
	unread := d.yaml.Has("spec", "targets", "workloads", len(f.rejected.Targets)) // an entry that is no text was left out
	if len(f.rejected.Targets) == 0 || unread {
		f.rejected.Targets = d.folder.mayTarget
	}
	return f
}
