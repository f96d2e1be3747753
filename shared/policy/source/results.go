package source

import (
	"fmt"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
)

// fileResult is the outcome of one file.
type fileResult struct {
	key       fileKey
	documents []*documentResult
	err       error // the file cannot be read as YAML, and there are no documents
}

// documentResult is the outcome of one document. It may come from an earlier load.
type documentResult struct {
	name, folder, file string
	namePosition       strictyaml.Position
	compiled           *policy.Document
	problems           strictyaml.Problems
	failure            failure   // counts if the document cannot be used
	source             *Document // for [Loader.Documents]; otherwise nil
}

// usableDocument gives the compiled document; nil: it is rejected.
func (d *documentResult) usableDocument() *policy.Document {
	if len(d.problems) > 0 {
		return nil
	}
	return d.compiled
}

// reject adds a problem at the name of the document.
func (d *documentResult) reject(format string, args ...any) {
	problem := strictyaml.Problem{File: d.file, Position: d.namePosition, Message: fmt.Sprintf(format, args...)}
	d.problems = append(d.problems[:len(d.problems):len(d.problems)], problem) // the memory shares the slice
}

// failure is a document, file or folder that cannot be used.
type failure struct {
	rejected        policy.RejectedDocument
	shadow          bool // of a document: it denies nothing
	holdsNoDocument bool // it is no file: it denies nothing either
}

// failureOf denies the targets of a document. If one of them cannot be read, or is not
// permitted to its folder, it denies all that the folder may target.
func failureOf(d *Document) failure {
	r := policy.RejectedDocument{Name: d.Policy.Metadata.Name, File: d.File, Folder: d.folder.Name, Guardrail: d.folder.Guardrail}
	if r.Name == "" {
		r.Name = d.File
	}
	f := failure{rejected: r, shadow: d.isShadow()}
	for _, text := range d.Policy.Spec.Targets.Workloads {
		target, err := d.folder.domains.ParseTarget(text)
		if err != nil || !d.folder.mayHaveTarget(target) {
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
