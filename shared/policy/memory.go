package policy

import (
	"crypto/sha256"
	"fmt"
	"sync"
)

// Memory keeps what one load has compiled for the next one, so that a change of one
// document costs what one document costs, and so that what is rejected is not
// compiled again until it changes. It holds what the last load found, and no more.
// The zero value is ready; nil keeps nothing.
type Memory struct {
	mu       sync.Mutex
	files    map[fileKey]*fileOutcome
	compiled map[string]*expression // by their text
}

// fileKey is all that decides what becomes of a file, taken alone.
type fileKey struct {
	settings string // of the loader and of the file's folder
	file     string
	content  [sha256.Size]byte
}

func (l Loader) settings(d Dir) string {
	return fmt.Sprintf("%q %q %v %t %q %q %q %q %t", l.Domains, l.Members, l.Members == nil, l.NoHomeIssuer, d.Name, d.path(), d.Paths, d.MayTarget, d.Guardrail)
}

// recall gives what became of a file; nil: it is not known.
func (m *Memory) recall(key fileKey) *fileOutcome {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.files[key]
	if known == nil {
		return nil
	}
	// Names are compared across files after each load, which may add problems.
	again := &fileOutcome{key: key, err: known.err}
	for _, d := range known.documents {
		one := *d
		again.documents = append(again.documents, &one)
	}
	return again
}

// expressions compiles those that are not known yet.
func (m *Memory) expressions(texts []string) map[string]compiledExpression {
	if m == nil {
		return compileExpressions(texts, nil)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return compileExpressions(texts, m.compiled)
}

// keep remembers a load in the place of the one before, so that what no document
// holds any more is free. It is called before names are compared across files.
func (m *Memory) keep(r *reading) {
	if m == nil {
		return
	}
	files, compiled := make(map[fileKey]*fileOutcome, len(r.files)), map[string]*expression{}
	for _, f := range r.files {
		kept := &fileOutcome{key: f.key, err: f.err}
		for _, d := range f.documents {
			d.source = nil // the largest part of it
			one := *d
			kept.documents = append(kept.documents, &one)
			if d.compiled == nil {
				continue
			}
			for _, rule := range d.compiled.rules {
				if rule.when != nil {
					compiled[rule.when.text] = rule.when
				}
			}
		}
		files[f.key] = kept
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files, m.compiled = files, compiled
}
