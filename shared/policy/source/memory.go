package source

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/meshpass/meshpass/shared/policy/expr"
)

// Memory keeps what one load has compiled for the next one, so that a change of one
// document costs as much as one document, and so that a rejected document is not
// compiled again until it changes. It holds what the last load found, and no more.
// The zero value is ready; nil keeps nothing.
type Memory struct {
	mu       sync.Mutex
	files    map[fileKey]*fileResult
	compiled map[string]*expr.Expression // by their text
}

// fileKey is all on which the result of one file depends.
type fileKey struct {
	settings string // of the loader and of the file's folder
	file     string
	content  [sha256.Size]byte
}

// settingsFor also holds the settings of the loader.
func (l Loader) settingsFor(d Dir) string {
	return fmt.Sprintf("%q %q %v %t %q %q %q %q %t", l.Domains, l.Members, l.Members == nil, l.NoHomeIssuer, d.Name, d.path(), d.Paths, d.MayTarget, d.Guardrail)
}

// recall gives the result of a file in an earlier load; nil: it is not known.
func (m *Memory) recall(key fileKey) *fileResult {
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
	copied := &fileResult{key: key, err: known.err}
	for _, d := range known.documents {
		one := *d
		copied.documents = append(copied.documents, &one)
	}
	return copied
}

// compileExpressions compiles those that are not known yet.
func (m *Memory) compileExpressions(texts []string) map[string]expression {
	if m == nil {
		return compileExpressions(texts, nil)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return compileExpressions(texts, m.compiled)
}

// remember replaces what an earlier load has remembered, so that the memory of removed
// documents is freed. It is called before names are compared across files.
func (m *Memory) remember(c *contents) {
	if m == nil {
		return
	}
	files, compiled := make(map[fileKey]*fileResult, len(c.files)), map[string]*expr.Expression{}
	for _, f := range c.files {
		kept := &fileResult{key: f.key, err: f.err}
		for _, d := range f.documents {
			d.source = nil // the largest part of it
			one := *d
			kept.documents = append(kept.documents, &one)
			if d.compiled == nil {
				continue
			}
			for _, rule := range d.compiled.Rules() {
				if e := rule.Expression(); e != nil {
					compiled[e.Text()] = e
				}
			}
		}
		files[f.key] = kept
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files, m.compiled = files, compiled
}
