package app

import (
	"os"

	"github.com/meshpass/meshpass/shared/policy"
)

type policiesConfig struct {
	Dirs      []policyDirConfig `yaml:"dirs"`
	Overrides string            `yaml:"overrides"`
	Unguarded string            `yaml:"unguarded"`
}

type policyDirConfig struct {
	Path      string   `yaml:"path"`
	MayTarget []string `yaml:"mayTarget"`
	Guardrail bool     `yaml:"guardrail"`
}

// unguardedDeny is the default, and the word for it.
const unguardedDeny = "deny"

// checkPolicies gives the folders that can be read, and what happens to workloads
// that no document targets. The documents are judged as often as they are read.
func (l *loader) checkPolicies() (folders, policy.Mode) {
	c := &l.config.Policies
	if !l.doc.Has("policies", "unguarded") {
		c.Unguarded = unguardedDeny
	}
	l.isOneOf(path{"policies", "unguarded"}, c.Unguarded, unguardedDeny, string(policy.Shadow))
	l.hasEntries(path{"policies", "dirs"}, len(c.Dirs))
	var usable folders
	for i, dir := range c.Dirs {
		if l.checkDir(path{"policies", "dirs", i}, &dir) {
			usable = append(usable, dir)
		}
	}
	if c.Unguarded == string(policy.Shadow) {
		return usable, policy.Shadow
	}
	return usable, policy.Enforce
}

func (l *loader) checkDir(at path, dir *policyDirConfig) (usable bool) {
	if l.has(at.with("path"), dir.Path) {
		dir.Path = l.resolve(dir.Path)
		usable = l.isFolder(at.with("path"), dir.Path)
	}
	l.hasEntriesIfPresent(at.with("mayTarget"), len(dir.MayTarget))
	for i, scope := range dir.MayTarget {
		if err := policy.CheckScope(scope, l.config.TrustDomains.domains()); err != nil {
			l.refuse(at.with("mayTarget", i), "%s", err)
			usable = false
		}
	}
	return usable
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

// folders of documents, their paths resolved.
type folders []policyDirConfig

func (f folders) paths() []string {
	var all []string
	for _, dir := range f {
		all = append(all, dir.Path)
	}
	return all
}

// load puts together what can be used. Problems name the documents' own files.
func (f folders) load(previous *policy.Set, loader policy.Loader) policy.Loaded {
	var dirs []policy.Dir
	for _, c := range f {
		dir := policy.OSDir(c.Path)
		dir.MayTarget, dir.Guardrail = c.MayTarget, c.Guardrail
		dirs = append(dirs, dir)
	}
	return loader.LoadEach(previous, dirs...)
}
