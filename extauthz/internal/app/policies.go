package app

import (
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
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
	if !l.check.Has(strictyaml.Path{"policies", "unguarded"}) {
		c.Unguarded = unguardedDeny
	}
	l.check.RequireOneOf(strictyaml.Path{"policies", "unguarded"}, c.Unguarded, unguardedDeny, string(policy.Shadow))
	l.check.RequireEntries(strictyaml.Path{"policies", "dirs"}, len(c.Dirs))
	var usable folders
	for i, dir := range c.Dirs {
		at := strictyaml.Path{"policies", "dirs", i}
		if l.checkDir(at, &dir) && l.checkDirName(at, &dir, usable) && l.isApart(at.With("path"), dir.Path, usable) {
			usable = append(usable, dir)
		}
	}
	if c.Unguarded == string(policy.Shadow) {
		return usable, policy.Shadow
	}
	return usable, policy.Enforce
}

func (l *loader) checkDir(at strictyaml.Path, dir *policyDirConfig) (usable bool) {
	if l.check.RequireText(at.With("path"), dir.Path) {
		dir.Path = l.check.ResolvePath(dir.Path)
		usable = l.check.RequireDir(at.With("path"), dir.Path)
	}
	l.check.RequireEntriesIfPresent(at.With("mayTarget"), len(dir.MayTarget))
	for i, scope := range dir.MayTarget {
		if err := policysource.CheckMayTarget(scope, l.config.TrustDomains.domains()); err != nil {
			l.check.Reject(at.With("mayTarget", i), "%s", err)
			usable = false
		}
	}
	return usable
}

// checkDirName: documents are named by folder and name, so that no team can take the
// name of another team's document.
func (l *loader) checkDirName(at strictyaml.Path, dir *policyDirConfig, others folders) bool {
	if !l.check.Has(at.With("name")) {
		dir.Name = policysource.DirName(dir.Path)
	} else if !policysource.IsDirName(dir.Name) {
		l.check.Reject(at.With("name"), "want letters, digits, dots, _ and -, at most 63, not %q", dir.Name)
		return false
	}
	for _, other := range others {
		if other.Name == dir.Name {
			l.check.Reject(at, "two folders are named %q, %s and %s: give one of them another name, as in {path: %s, name: NAME}", dir.Name, other.Path, dir.Path, dir.Path)
			return false
		}
	}
	return true
}

// isApart rejects a folder inside another one: its documents would be loaded as those
// of both, and a team's would be guardrails where the outer folder is.
func (l *loader) isApart(at strictyaml.Path, name string, others folders) bool {
	for _, other := range others {
		if policysource.Overlap(name, other.Path) {
			l.check.Reject(at, "%s and %s are one folder, or one is inside the other: list folders that have no file in common", name, other.Path)
			return false
		}
	}
	return true
}

// folders of documents, their paths resolved.
type folders []policyDirConfig

func (f folders) inputs() []reload.Input {
	var all []reload.Input
	for _, dir := range f {
		all = append(all, reload.Input{Path: dir.Path, Wanted: policysource.IsRead})
	}
	return all
}

// dirs are the folders as they are now.
func (f folders) dirs() []policysource.Dir {
	var dirs []policysource.Dir
	for _, c := range f {
		dir := policysource.OSDir(c.Path)
		dir.Name, dir.MayTarget, dir.Guardrail = c.Name, c.MayTarget, c.Guardrail
		dirs = append(dirs, dir)
	}
	return dirs
}
