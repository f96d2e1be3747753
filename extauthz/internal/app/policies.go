package app

import (
	"os"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/policy"
)

type policiesConfig struct {
	Dirs      []policyDirConfig `yaml:"dirs"`
	Overrides string            `yaml:"overrides"`
	Unguarded string            `yaml:"unguarded"`
}

type policyDirConfig struct {
	Path      string   `yaml:"path"`
	Name      string   `yaml:"name"` // default: the last element of path
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
		at := path{"policies", "dirs", i}
		if l.checkDir(at, &dir) && l.checkDirName(at, &dir, usable) && l.isApart(at.with("path"), dir.Path, usable) {
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

// checkDirName: documents are named by folder and name, so that no team can take the
// name of another team's document.
func (l *loader) checkDirName(at path, dir *policyDirConfig, others folders) bool {
	if !l.doc.Has(at.with("name")...) {
		dir.Name = policy.DirName(dir.Path)
	} else if !policy.IsDirName(dir.Name) {
		l.refuse(at.with("name"), "%q is no name of a folder: write letters, digits, dots, _ and -, 63 at most", dir.Name)
		return false
	}
	for _, other := range others {
		if other.Name == dir.Name {
			l.refuse(at, "two folders are named %q, %s and %s: give one of them another name, as in {path: %s, name: NAME}", dir.Name, other.Path, dir.Path, dir.Path)
			return false
		}
	}
	return true
}

// isApart rejects a folder inside another one: its documents would be loaded as those
// of both, and a team's would be guardrails where the outer folder is.
func (l *loader) isApart(at path, name string, others folders) bool {
	for _, other := range others {
		if policy.Overlap(name, other.Path) {
			l.refuse(at, "%s and %s are one folder, or one is inside the other: list folders that have no file in common", name, other.Path)
			return false
		}
	}
	return true
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

func (f folders) inputs() []reload.Input {
	var all []reload.Input
	for _, dir := range f {
		all = append(all, reload.Input{Path: dir.Path, Wanted: policy.IsRead})
	}
	return all
}

// dirs are the folders as they are now.
func (f folders) dirs() []policy.Dir {
	var dirs []policy.Dir
	for _, c := range f {
		dir := policy.OSDir(c.Path)
		dir.Name, dir.MayTarget, dir.Guardrail = c.Name, c.MayTarget, c.Guardrail
		dirs = append(dirs, dir)
	}
	return dirs
}
