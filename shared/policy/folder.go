package policy

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// Dir is a folder of documents.
type Dir struct {
	Name  string // stands before the file names in messages, and tells folders apart
	Files fs.FS

	// MayTarget bounds what the folder's documents may guard: targets,
	// service/NAMESPACE/*, gateway/*, edge/*, or * for everything; nil: everything.
	MayTarget []string

	// Guardrail makes the folder's deny rules hold against public entries,
	// overrides and onOutage too.
	Guardrail bool
}

// OSDir is a folder of the file system, as it is now. A mounted ConfigMap or Secret
// is a link, ..data, to the folder of one version: that is followed once, here, so
// that no set is ever made of two versions' files. So is a folder that is a link
// itself. Make it anew for each load.
func OSDir(name string) Dir {
	root := name
	for _, link := range []string{name, filepath.Join(name, "..data")} {
		if version, err := filepath.EvalSymlinks(link); err == nil {
			root = version
		}
	}
	return Dir{Name: name, Files: os.DirFS(root)}
}

// folder is a Dir whose settings are understood.
type folder struct {
	Dir
	domains identity.TrustDomains
	scopes  []scope // what its documents may target
}

// newFolder gives a folder in any case; with an error, one that may target
// everything, because nobody knows what it was meant to.
func newFolder(dir Dir, domains identity.TrustDomains) (*folder, error) {
	f := &folder{Dir: dir, domains: domains}
	var problems strictyaml.Problems
	for _, text := range dir.MayTarget {
		scope, err := parseScope(text, domains)
		if err != nil {
			problems.Add(strictyaml.Position{}, "mayTarget: %s", err)
		}
		f.scopes = append(f.scopes, scope)
	}
	if len(f.scopes) == 0 || len(problems) > 0 {
		f.scopes = []scope{{any: true}}
	}
	return f, problems.Err()
}

func (f *folder) mayTarget(p identity.Pattern) bool {
	return slices.ContainsFunc(f.scopes, func(c scope) bool { return c.covers(p) })
}

type yamlFile struct {
	name string // below the folder, so that a generation does not depend on where it is mounted
	data []byte
}

func yamlFiles(dir Dir) ([]yamlFile, error) {
	var files []yamlFile
	err := fs.WalkDir(dir.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.Type()&fs.ModeSymlink != 0 && isFolder(dir.Files, name):
			return fmt.Errorf("%s is a symbolic link to a folder, which is not followed: list that folder itself", name)
		case entry.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(path.Ext(name))):
			return nil
		}
		data, err := fs.ReadFile(dir.Files, name)
		if !IsCases(name) || holdsDocuments(data) { // a document is never passed over for its file's name
			files = append(files, yamlFile{name: name, data: data})
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no *.yaml file: without a document every request is denied")
	}
	return files, err
}

// IsCases reports whether a file by its name, …_test.yaml or ….test.yaml, holds
// cases for `meshpass policy test`. Such files stand beside documents, and are none.
func IsCases(name string) bool {
	stem := strings.ToLower(strings.TrimSuffix(name, path.Ext(name)))
	return strings.HasSuffix(stem, "_test") || strings.HasSuffix(stem, ".test")
}

// holdsDocuments is generous where the file cannot be read: it may be meant to.
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
		_ = d.Decode(&head) // what else stands there is judged when it is read
		return head.Kind == Kind || head.Kind == "" && mentioned
	})
}

func isFolder(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.IsDir()
}
