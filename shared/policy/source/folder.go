package source

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Dir is a folder of documents.
type Dir struct {
	Name  string // unique among folders; names of documents are unique in a folder
	Path  string // precedes the file names in messages; empty: Name
	Files fs.FS

	// Version is the folder that the path leads to now; empty: not known. With a mounted ConfigMap, git-sync or `meshpass policy
	// pull`, its name differs for each version of the content.
	Version string

	// Paths gives files other names in messages, by their names below Files; nil: no file
	// has another one.
	Paths map[string]string

	// MayTarget bounds what the folder's documents may guard: targets,
	// service/NAMESPACE/*, gateway/*, edge/*, or * for everything; nil: everything.
	MayTarget []string

	// Guardrail makes the folder's deny rules hold against public entries,
	// overrides and onOutage too.
	Guardrail bool
}

// OSDir is a folder of the file system in its present version, see
// [readfile.ResolveVersion], named by the last element of its path. Make a new one for each
// load.
func OSDir(path string) Dir {
	version := readfile.ResolveVersion(path)
	return Dir{Name: DirName(path), Path: path, Files: readfile.FolderFS(version), Version: version}
}

// DirName is the last element of a folder's path, which is its name unless it is given another.
func DirName(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return filepath.Base(path)
}

var dirNameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// IsDirName reports whether a folder may be given that name.
func IsDirName(name string) bool { return dirNameForm.MatchString(name) }

// FoldersOverlap reports whether two paths lead to one folder, or one leads into the other.
func FoldersOverlap(a, b string) bool {
	a, b = resolvePath(a), resolvePath(b)
	return isInside(a, b) || isInside(b, a)
}

func resolvePath(path string) string {
	path = readfile.ResolveVersion(path)
	if absolute, err := filepath.Abs(path); err == nil {
		return absolute
	}
	return path
}

func isInside(inner, outer string) bool {
	relative, err := filepath.Rel(outer, inner)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}

func (d Dir) messagePath() string {
	if d.Path == "" {
		return d.Name
	}
	return d.Path
}

// FilePath is the path of a file below the folder, as messages name it.
func (d Dir) FilePath(name string) string {
	if full, ok := d.Paths[name]; ok {
		return full
	}
	return path.Join(d.messagePath(), name)
}

// folder is a Dir with its settings parsed.
type folder struct {
	Dir
	domains   identity.TrustDomains
	mayTarget []policy.CalleeSet
}

// newFolder gives a folder in any case. With an error it is one that may target everything,
// because its intended targets are not known.
func newFolder(dir Dir, domains identity.TrustDomains) (*folder, error) {
	f := &folder{Dir: dir, domains: domains}
	var problems strictyaml.Problems
	for _, text := range dir.MayTarget {
		callees, err := parseCallees(text, domains)
		if err != nil {
			problems.Add(strictyaml.Position{}, "mayTarget: %s", err)
		}
		f.mayTarget = append(f.mayTarget, callees)
	}
	if len(f.mayTarget) == 0 || len(problems) > 0 {
		f.mayTarget = []policy.CalleeSet{{All: true}}
	}
	return f, problems.Err()
}

// mayHaveTarget reports whether the folder's documents may have the target.
func (f *folder) mayHaveTarget(target identity.Pattern) bool {
	return slices.ContainsFunc(f.mayTarget, func(c policy.CalleeSet) bool { return c.Covers(target) })
}

// CheckMayTarget reports what is wrong with an entry of [Dir].MayTarget.
func CheckMayTarget(text string, domains identity.TrustDomains) error {
	_, err := parseCallees(text, domains)
	return err
}

// parseCallees reads an entry of mayTarget: a target, service/NAMESPACE/*,
// gateway/*, edge/*, or * for everything.
func parseCallees(text string, domains identity.TrustDomains) (policy.CalleeSet, error) {
	if text == "*" {
		return policy.CalleeSet{All: true}, nil
	}
	prefix, isPrefix := strings.CutSuffix(text, "*")
	kind, namespace, _ := strings.Cut(prefix, "/")
	_, err := identity.ServiceCallee(strings.TrimSuffix(namespace, "/"), "x")
	if isPrefix && (prefix == "gateway/" || prefix == "edge/" || kind == "service" && err == nil && strings.HasSuffix(namespace, "/")) {
		return policy.CalleeSet{Prefix: prefix}, nil
	}
	target, err := domains.ParseTarget(text)
	if err != nil {
		return policy.CalleeSet{}, fmt.Errorf("%w; or service/NAMESPACE/*, gateway/*, edge/*, or * for everything", err)
	}
	return policy.CalleeSet{Target: target}, nil
}

// MaxFileBytes is the size of the largest file of documents that is read. A ConfigMap can
// hold as much.
const MaxFileBytes = 1 << 20

// IsRead reports whether a file of that name is read: *.yaml and *.yml.
func IsRead(name string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(path.Ext(name)))
}

type yamlFile struct {
	name string // below the folder, so that a generation does not depend on where it is mounted
	data []byte
	err  error // why there is no data
}

// holdsNoDocument reports that there is nothing that could hold a document: a named pipe,
// a socket, a device, or a link that leads nowhere, which counts as no file. Any other
// file that cannot be read may hold documents.
func (f yamlFile) holdsNoDocument() bool {
	return errors.Is(f.err, readfile.ErrNotRegular) || errors.Is(f.err, fs.ErrNotExist)
}

// readFiles reads the files that hold documents, or may hold some, and hands each one over before
// it reads the next one. The error is that of the folder itself.
func readFiles(dir Dir, handOver func(yamlFile)) error {
	none := true
	err := readfile.Walk(dir.Files, IsRead, func(e readfile.Entry) {
		file := yamlFile{name: e.Name, err: e.Err}
		if file.err == nil {
			file.data, file.err = readfile.ReadFS(dir.Files, e.Name, MaxFileBytes)
		}
		if file.err != nil || !IsCases(e.Name) || holdsDocuments(file.data) { // no document is ignored for its file's name
			handOver(file)
			none = none && file.holdsNoDocument()
		}
	})
	if err == nil && none {
		return errNoFile
	}
	return err
}

var errNoFile = errors.New("no *.yaml file: without a document every request is denied")

// IsCases reports whether a file by its name, …_test.yaml or ….test.yaml, holds
// cases for `meshpass policy test`. Such files are in the same folders as documents.
func IsCases(name string) bool {
	stem := strings.ToLower(strings.TrimSuffix(name, path.Ext(name)))
	return strings.HasSuffix(stem, "_test") || strings.HasSuffix(stem, ".test")
}

// holdsDocuments is generous with a file that cannot be parsed, as it may be meant to hold one.
func holdsDocuments(data []byte) bool {
	mentioned := bytes.Contains(data, []byte(Kind))
	documents, err := strictyaml.ParseAll(data)
	if err != nil {
		return mentioned
	}
	return slices.ContainsFunc(documents, func(d *strictyaml.Document) bool {
		var head struct {
			Kind string `yaml:"kind"`
		}
		_ = d.Decode(&head) // the rest is checked when the document is read
		return head.Kind == Kind || head.Kind == "" && mentioned
	})
}
