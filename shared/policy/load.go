package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// Dir is a folder of documents. Name stands before the file names in messages.
type Dir struct {
	Name  string
	Files fs.FS
}

// OSDir is a folder of the file system.
func OSDir(name string) Dir { return Dir{Name: name, Files: os.DirFS(name)} }

// Loader says what documents are read against. The zero Loader knows no trust
// domain, as a command line may that has no configuration at hand.
type Loader struct {
	Domains identity.TrustDomains // a workload of these is named ns/…, never spiffe://…
}

// Load is [Loader.Load] of the zero Loader.
func Load(dirs ...Dir) (*Set, error) { return Loader{}.Load(dirs...) }

// Load compiles every *.yaml and *.yml below the folders. Hidden names are passed
// over: a mounted ConfigMap keeps its versions in them. All problems of all files
// come back together, as [strictyaml.Problems], and then there is no Set.
func (l Loader) Load(dirs ...Dir) (*Set, error) {
	var problems strictyaml.Problems
	var sources []source
	hash := sha256.New()
	for i, dir := range dirs {
		files, err := yamlFiles(dir)
		if err != nil {
			problems = append(problems, strictyaml.Problem{File: dir.Name, Message: err.Error()})
		}
		for _, file := range files {
			found, wrong := readDocuments(path.Join(dir.Name, file.name), file.data)
			sources = append(sources, found...)
			problems = append(problems, wrong...)
			fmt.Fprintf(hash, "%d\x00%s\x00%d\x00%s", i, file.name, len(file.data), file.data)
		}
	}
	set, wrong := l.compileAll(sources)
	if problems = append(problems, wrong...); len(problems) > 0 {
		return nil, problems
	}
	set.generation = hex.EncodeToString(hash.Sum(nil)[:6])
	return set, nil
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
		files = append(files, yamlFile{name: name, data: data})
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no *.yaml file: without a document every request is denied")
	}
	return files, err
}

func isFolder(files fs.FS, name string) bool {
	info, err := fs.Stat(files, name)
	return err == nil && info.IsDir()
}

// compileAll sorts the documents by name, so that their order tells nothing.
func (l Loader) compileAll(sources []source) (*Set, strictyaml.Problems) {
	var problems strictyaml.Problems
	set := &Set{reads: newReads()}
	names := map[string]string{}
	sort.SliceStable(sources, func(i, j int) bool { return sources[i].Metadata.Name < sources[j].Metadata.Name })
	for i := range sources {
		s := &sources[i]
		c, wrong := l.compile(s)
		if other, twice := names[c.name]; twice {
			wrong.Add(s.yaml.At("metadata", "name"), "a document %q stands in %s too", c.name, other)
		}
		names[c.name] = s.file
		problems = append(problems, wrong.In(s.file)...)
		set.add(c)
	}
	return set, problems
}
