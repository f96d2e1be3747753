package source

import (
	"crypto/sha256"
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
	compiled map[string]*expr.Expression // by their text; replaced as a whole
}

// fileKey is everything that decides the result of one file.
type fileKey struct {
	settings string // of the loader and of the file's folder
	file     string
	content  [sha256.Size]byte
}

// recallFile gives the result of a file in an earlier load; nil: it is not known.
func (m *Memory) recallFile(key fileKey) *fileResult {
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

// newExpressions are those of one load, which begins with what is known.
func (m *Memory) newExpressions() *expressions {
	if m == nil {
		return &expressions{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return &expressions{known: m.compiled}
}

// rememberFiles replaces what an earlier load has remembered, so that the memory of removed
// documents is freed. It is called before names are compared across files.
func (m *Memory) rememberFiles(results []*fileResult) {
	if m == nil {
		return
	}
	files, compiled := make(map[fileKey]*fileResult, len(results)), map[string]*expr.Expression{}
	for _, f := range results {
		kept := &fileResult{key: f.key, err: f.err}
		for _, d := range f.documents {
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
