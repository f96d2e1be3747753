// Package source compiles folders of AccessPolicy documents in YAML into a set that the
// engine, package policy, decides by.
//
// [Loader.Load] accepts folders without a problem only. [Loader.LoadEach] is for a
// running program: of a rejected document, the last good version stays active. Package
// lint warns of documents that load and are suspicious.
package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Loader holds the settings that documents are checked against. The zero Loader knows no
// trust domain, like a command line without a configuration.
type Loader struct {
	Domains identity.TrustDomains // a workload of these is named ns/…, never spiffe://…
	Members []string              // of tctx that tokens can have, beside our own; nil: any

	// AllowedHeaders are the lower-case names of the headers that sidecars send beside those that
	// every decision needs. A document for workloads that reads another one is rejected. Nil: all.
	AllowedHeaders []string

	// NoHomeIssuer means that no trusted issuer is home, so that no outage can happen.
	// Documents with onOutage: allow are rejected then.
	NoHomeIssuer bool

	// Memory keeps what was compiled for the next load; nil: nothing is kept.
	Memory *Memory
}

// Load compiles every *.yaml and *.yml below the folders. It ignores hidden names, as a
// mounted ConfigMap keeps its versions in them. It returns all problems of all files
// together, as [strictyaml.Problems], and then no Set.
func (l Loader) Load(dirs ...Dir) (*policy.Set, error) {
	loaded := l.LoadEach(nil, dirs...)
	if err := loaded.Problems.Err(); err != nil {
		return nil, err
	}
	return loaded.Set, nil
}

// LoadEach loads the documents that can be used. If a document is rejected, its last good
// version stays active, which previous holds. A new document that is rejected changes
// nothing. At the start previous is nil: then requests to all targets of a rejected
// document are denied with policy_refused. For a file that cannot be read these are all
// workloads that its folder may target, because its documents are not known. They stay
// denied until the file is fixed. A named pipe and other entries that are no files hold no
// document, and deny nothing.
func (l Loader) LoadEach(previous *policy.Set, dirs ...Dir) Loaded {
	c := l.readFolders(dirs, false)
	a := activate(previous, c.documents, c.unreadable)
	return Loaded{Set: a.newSet(c.generation), Dirs: dirs, Wanted: c.generation, Problems: c.allProblems(), Rejected: a.reported, unread: c.unread}
}

// Loaded is the outcome of [Loader.LoadEach].
type Loaded struct {
	Set      *policy.Set         // never nil
	Dirs     []Dir               // the folders that were read
	Wanted   string              // generation of the folders; Set has the same if nothing is rejected
	Problems strictyaml.Problems // of all files
	Rejected []Rejected          // files and documents that are not active in their present version
	unread   int
}

// Warnings are the problems, with what becomes of a rejected document at a start that is not strict.
func (l Loaded) Warnings() strictyaml.Problems {
	all := slices.Clone(l.Problems)
	for i := range all {
		all[i].Message += " (a start without --strict leaves this out, and denies everything that it targets)"
	}
	return all
}

// Unread is the number of files and folders that could not be read. Unlike all other
// problems, these can end without a change of any file.
func (l Loaded) Unread() int { return l.unread }

// Documents reads the folders as [Loader.Load] does, and gives all documents that can be
// used, with the positions of their parts. It also returns all problems, in the order of
// files.
func (l Loader) Documents(dirs ...Dir) ([]*Document, strictyaml.Problems) {
	l.Memory = nil // remembered documents have no positions
	c := l.readFolders(dirs, true)
	var usable []*Document
	for _, d := range c.documents {
		if d.usableDocument() != nil {
			usable = append(usable, d.source)
		}
	}
	return usable, c.allProblems()
}

// contents is the content of all folders.
type contents struct {
	loader      Loader
	keepSources bool // documents keep what they were compiled from, which is the largest part of them
	expressions *expressions
	folderNames []string
	files       []*fileResult
	documents   []*documentResult
	unreadable  []failure           // files and folders
	problems    strictyaml.Problems // of files and folders
	generation  string
	unread      int
}

// readFolders compiles all documents of all folders.
func (l Loader) readFolders(dirs []Dir, keepSources bool) *contents {
	c := &contents{loader: l, keepSources: keepSources, expressions: l.Memory.newExpressions()}
	for i := range dirs {
		c.readFolder(dirs[i])
	}
	c.loader.Memory.rememberFiles(c.files)
	c.checkNames()
	return c
}

// readFolder reads one file after the other, and compiles each as soon as it was read: the active
// documents are in memory too, so the text and the nodes of all files together would double what a
// reload takes.
func (c *contents) readFolder(dir Dir) {
	f, err := newFolder(dir, c.loader.Domains)
	var files []yamlFile
	var results []*fileResult
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00", c.generation)
	switch {
	case slices.Contains(c.folderNames, dir.Name):
		err = strictyaml.Problems{{Message: fmt.Sprintf("a second folder named %q: give it another name", dir.Name)}}
	case err == nil:
		pool := startWorkers()
		err = readFiles(dir, func(file yamlFile) {
			fmt.Fprintf(sum, "%s\x00%d\x00%s", file.name, len(file.data), file.data)
			result := &fileResult{}
			if data := file.data; file.err == nil {
				pool.do(func() { c.compileFile(f, file.name, data, result) })
			}
			file.data = nil
			files, results = append(files, file), append(results, result)
		})
		pool.wait()
	}
	c.folderNames = append(c.folderNames, dir.Name)
	if err != nil {
		c.addUnreadable(f, dir.messagePath(), err, false)
	}
	for i, file := range files {
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

// compileFile parses and compiles a file, unless that was done in an earlier load.
func (c *contents) compileFile(f *folder, name string, data []byte, result *fileResult) {
	key := fileKey{settings: c.loader.settingsFor(f.Dir), file: name, content: sha256.Sum256(data)}
	if known := c.loader.Memory.recallFile(key); known != nil {
		*result = *known
		return
	}
	result.key = key
	documents, err := readDocuments(f, f.FilePath(name), key.content, data)
	result.err = err
	for _, d := range documents {
		result.documents = append(result.documents, c.compileDocument(f, d))
	}
}

func (c *contents) compileDocument(f *folder, d *Document) *documentResult {
	result := &documentResult{
		name: d.Policy.Metadata.Name, folder: f.Name, file: d.File, namePosition: d.yaml.PositionOf("metadata", "name"), failure: failureOf(d),
	}
	if d.wellFormed {
		result.compiled = buildDocument(d, buildSettings{
			domains: c.loader.Domains, members: c.loader.Members, headers: c.loader.AllowedHeaders, noHomeIssuer: c.loader.NoHomeIssuer, expressions: c.expressions,
		})
		d.Compiled = result.compiled
	}
	result.problems = slices.Clip(d.problems.InFile(d.File))
	if c.keepSources {
		result.source = d
	}
	return result
}

// settingsFor gives all settings that decide the result of a file of the folder.
func (l Loader) settingsFor(d Dir) string {
	return fmt.Sprintf("%q %q %v %q %v %t %q %q %q %q %t", l.Domains, l.Members, l.Members == nil, l.AllowedHeaders, l.AllowedHeaders == nil, l.NoHomeIssuer, d.Name, d.messagePath(), d.Paths, d.MayTarget, d.Guardrail)
}

// addUnreadable adds a file or folder that cannot be read.
func (c *contents) addUnreadable(f *folder, name string, err error, holdsNoDocument bool) {
	c.problems = append(c.problems, asProblems(err).InFile(name)...)
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

// allProblems are those of documents too.
func (c *contents) allProblems() strictyaml.Problems {
	all := slices.Clone(c.problems)
	for _, d := range c.documents {
		all = append(all, d.problems...)
	}
	return all
}

// checkNames rejects the documents of a folder that share a name. Each folder has
// names of its own, so that no team can take the name of another team's document.
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
