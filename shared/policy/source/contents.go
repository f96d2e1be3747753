package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/expr"
)

// contents is everything that was found in all folders.
type contents struct {
	loader      Loader
	folderNames []string
	files       []*fileResult
	documents   []*documentResult
	unreadable  []failure // files and folders
	problems    strictyaml.Problems
	generation  string
	unread      int
}

// read compiles all documents of all folders.
func (l Loader) read(dirs []Dir) *contents {
	c := &contents{loader: l}
	for i := range dirs {
		c.readFolder(dirs[i])
	}
	c.compile()
	c.loader.Memory.remember(c)
	c.checkNames()
	return c
}

// fileResult is what became of a file.
type fileResult struct {
	key       fileKey
	documents []*documentResult
	err       error // the file cannot be read as YAML, and there are no documents
}

// documentResult is what became of a document. It may come from an earlier load.
type documentResult struct {
	name, folder, file string
	namePosition       strictyaml.Position
	compiled           *policy.Document
	problems           strictyaml.Problems
	failure            failure   // counts if the document cannot be used
	source             *Document // nil: an earlier load compiled it
}

// usable gives the compiled document; nil: it is rejected.
func (d *documentResult) usable() *policy.Document {
	if len(d.problems) > 0 {
		return nil
	}
	return d.compiled
}

func (d *documentResult) reject(format string, args ...any) {
	problem := strictyaml.Problem{File: d.file, Position: d.namePosition, Message: fmt.Sprintf(format, args...)}
	d.problems = append(d.problems[:len(d.problems):len(d.problems)], problem) // the slice is remembered
}

func (c *contents) readFolder(dir Dir) {
	f, err := newFolder(dir, c.loader.Domains)
	var files []yamlFile
	switch {
	case slices.Contains(c.folderNames, dir.Name):
		err = strictyaml.Problems{{Message: fmt.Sprintf("a second folder named %q: give it another name", dir.Name)}}
	case err == nil:
		files, err = readFiles(dir)
	}
	c.folderNames = append(c.folderNames, dir.Name)
	if err != nil {
		c.addUnreadable(f, dir.path(), err, false)
	}
	results := make([]*fileResult, len(files))
	forEach(len(files), func(i int) {
		if files[i].err == nil {
			results[i] = c.parseFile(f, files[i])
		}
	})
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00", c.generation)
	for i, file := range files {
		fmt.Fprintf(sum, "%s\x00%d\x00%s", file.name, len(file.data), file.data)
		if file.err != nil {
			c.addUnreadable(f, dir.FilePath(file.name), file.err, file.holdsNoDocument())
			continue
		}
		c.files = append(c.files, results[i])
		c.documents = append(c.documents, results[i].documents...)
		if err := results[i].err; err != nil {
			c.addUnreadable(f, dir.FilePath(file.name), err, false)
		}
	}
	c.generation = hex.EncodeToString(sum.Sum(nil)[:6])
}

// parseFile parses a file, unless that was done in an earlier load.
func (c *contents) parseFile(f *folder, file yamlFile) *fileResult {
	key := fileKey{settings: c.loader.settingsFor(f.Dir), file: file.name, content: sha256.Sum256(file.data)}
	if known := c.loader.Memory.recall(key); known != nil {
		return known
	}
	result := &fileResult{key: key}
	documents, err := readDocuments(f, f.FilePath(file.name), key.content, file.data)
	result.err = err
	for _, d := range documents {
		result.documents = append(result.documents, &documentResult{
			name: d.Policy.Metadata.Name, folder: f.Name, file: d.File, namePosition: d.yaml.At("metadata", "name"), failure: d.failure(), source: d,
		})
	}
	return result
}

// addUnreadable adds a file or folder that cannot be read.
func (c *contents) addUnreadable(f *folder, name string, err error, holdsNoDocument bool) {
	c.problems = append(c.problems, asProblems(err).In(name)...)
	c.unreadable = append(c.unreadable, failure{
		rejected:        policy.RejectedDocument{Name: name, File: name, Folder: f.Name, Targets: f.mayTarget, Guardrail: f.Guardrail},
		holdsNoDocument: holdsNoDocument,
	})
	var problems strictyaml.Problems
	if !errors.As(err, &problems) && !errors.Is(err, errNoFile) && !errors.Is(err, readfile.ErrTooLarge) {
		c.unread++
	}
}

func asProblems(err error) strictyaml.Problems {
	var problems strictyaml.Problems
	if errors.As(err, &problems) {
		return problems
	}
	return strictyaml.Problems{{Message: err.Error()}}
}

// compile compiles what no earlier load has compiled.
func (c *contents) compile() {
	var fresh []*documentResult
	var texts []string
	for _, d := range c.documents {
		if d.source == nil {
			continue
		}
		fresh = append(fresh, d)
		for i := range d.source.Policy.Spec.Rules {
			texts = append(texts, d.source.Policy.Spec.Rules[i].When)
		}
	}
	expressions := c.loader.Memory.compileExpressions(texts)
	forEach(len(fresh), func(i int) {
		d := fresh[i]
		if d.source.wellFormed {
			b := builder{loader: c.loader, expressions: expressions, document: d.source}
			d.compiled = b.build()
			d.source.Compiled = d.compiled
		}
		d.problems = slices.Clip(d.source.problems.In(d.file))
	})
}

// expression is a compiled expression, or why there is none.
type expression struct {
	expression *expr.Expression
	err        error
}

// compileExpressions compiles each text that is not known once: an expression costs
// more than all else in a rule.
func compileExpressions(texts []string, known map[string]*expr.Expression) map[string]expression {
	slices.Sort(texts)
	texts = slices.Compact(texts)
	all := make(map[string]expression, len(texts))
	var fresh []string
	for _, text := range texts {
		if e := known[text]; e != nil {
			all[text] = expression{expression: e}
		} else {
			fresh = append(fresh, text)
		}
	}
	results := make([]expression, len(fresh))
	forEach(len(fresh), func(i int) { results[i].expression, results[i].err = expr.Compile(fresh[i]) })
	for i, text := range fresh {
		all[text] = results[i]
	}
	return all
}

// checkNames rejects the documents of a folder that share a name. Each folder has
// names of its own: no team can take the name of another team's document.
func (c *contents) checkNames() {
	first := map[documentKey]*documentResult{}
	for _, d := range c.documents {
		if d.name == "" {
			continue
		}
		key := documentKey{d.folder, d.name}
		other := first[key]
		if other == nil {
			first[key] = d
			continue
		}
		d.reject("a document %q is in %s too: names are unique in a folder", d.name, other.file)
		if len(other.problems) == 0 {
			other.reject("a document %q is in %s too: names are unique in a folder", d.name, d.file)
		}
	}
}

// forEach calls do for 0 to n-1, on all processors but one: decisions go on meanwhile.
func forEach(n int, do func(int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(n, max(1, runtime.GOMAXPROCS(0)-1)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		}()
	}
	workers.Wait()
}
