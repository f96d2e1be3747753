package app

import (
	"errors"
	"os"

	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

type policiesConfig struct {
	Dirs      []policyDirConfig `yaml:"dirs"`
	Unguarded string            `yaml:"unguarded"`
}

type policyDirConfig struct {
	Path string `yaml:"path"`
}

// policies loads all folders as one set. Problems of the documents name the
// documents' own files and lines.
func (l *loader) policies() *policy.Set {
	if l.doc.Has("policies", "unguarded") {
		l.isOneOf(path{"policies", "unguarded"}, l.config.Policies.Unguarded, "deny")
	}
	l.hasEntries(path{"policies", "dirs"}, len(l.config.Policies.Dirs))
	var dirs []policy.Dir
	for i, dir := range l.config.Policies.Dirs {
		at := path{"policies", "dirs", i, "path"}
		if l.has(at, dir.Path) && l.isFolder(at, l.resolve(dir.Path)) {
			dirs = append(dirs, policy.OSDir(l.resolve(dir.Path)))
		}
	}
	set, err := policy.Loader{Domains: l.config.TrustDomains.domains()}.Load(dirs...)
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		l.problems = append(l.problems, problems...)
	} else if err != nil {
		l.refuse(path{"policies", "dirs"}, "%s", err)
	}
	return set
}

// policyFiles are the folders that [loader.policies] reads.
func (l *loader) policyFiles() []string {
	var all []string
	for _, dir := range l.config.Policies.Dirs {
		all = append(all, l.resolve(dir.Path))
	}
	return all
}

func (l *loader) isFolder(at path, name string) bool {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		l.refuse(at, "%s", err)
	case !info.IsDir():
		l.refuse(at, "%s is a file: name the folder that holds it", name)
	}
	return err == nil && info.IsDir()
}
