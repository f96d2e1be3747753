package app

import (
	"slices"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

type policiesConfig struct {
	Dirs      []policyDirConfig `yaml:"dirs"`
	Overrides string            `yaml:"overrides" env:"expand"`
	Unguarded string            `yaml:"unguarded"`
}

type policyDirConfig struct {
	Path      string   `yaml:"path" env:"expand"`
	Name      string   `yaml:"name"` // default: the last element of path
	MayTarget []string `yaml:"mayTarget"`
	Guardrail bool     `yaml:"guardrail"`
}

// unguardedDeny is the default of policies.unguarded.
const unguardedDeny = "deny"

func (c *policiesConfig) setDefaults(file *strictyaml.Checker) {
	at := strictyaml.Path{"policies"}
	if !file.Has(at.With("unguarded")) {
		c.Unguarded = unguardedDeny
	}
	for i := range c.Dirs {
		if !file.Has(at.With("dirs", i, "name")) {
			c.Dirs[i].Name = policysource.DirName(file.ResolvePath(c.Dirs[i].Path))
		}
	}
}

// unguardedMode is the mode of workloads that no document targets.
func (c policiesConfig) unguardedMode() policy.Mode {
	if c.Unguarded == string(policy.Shadow) {
		return policy.Shadow
	}
	return policy.Enforce
}

// parseFolders returns the folders that can be read. Their documents are checked as often as they
// are read.
func (c policiesConfig) parseFolders(file *strictyaml.Checker, domains identity.TrustDomains) (usable folders) {
	named, places := c.checkFolders(file, domains)
	for i, dir := range named {
		if file.RequireDir(places[i].With("path"), dir.Path) {
			usable = append(usable, dir)
		}
	}
	return usable
}

// checkFolders returns the folders whose settings are right, and the place of each. It does not look at them.
func (c policiesConfig) checkFolders(file *strictyaml.Checker, domains identity.TrustDomains) (right folders, places []strictyaml.Path) {
	file.RequireOneOf(strictyaml.Path{"policies", "unguarded"}, c.Unguarded, unguardedDeny, string(policy.Shadow))
	file.RequireEntries(strictyaml.Path{"policies", "dirs"}, len(c.Dirs))
	for i, dir := range c.Dirs {
		at := strictyaml.Path{"policies", "dirs", i}
		dir.Path = file.ResolvePath(dir.Path)
		if dir.check(file, at, c.Dirs[i].Path, domains) && dir.requireOwnName(file, at, right) && dir.requireApart(file, at.With("path"), right) {
			right, places = append(right, dir), append(places, at)
		}
	}
	return right, places
}

// check takes the path also as it is written. The path of the folder is resolved.
func (c policyDirConfig) check(file *strictyaml.Checker, at strictyaml.Path, written string, domains identity.TrustDomains) (usable bool) {
	usable = file.RequireText(at.With("path"), written)
	file.RequireEntriesIfPresent(at.With("mayTarget"), len(c.MayTarget))
	for i, scope := range c.MayTarget {
		if err := policysource.CheckMayTarget(scope, domains); err != nil {
			file.Reject(at.With("mayTarget", i), "%s", err)
			usable = false
		}
	}
	file.RequireDistinct(at.With("mayTarget"), c.MayTarget)
	if i := slices.Index(c.MayTarget, anyTarget); i >= 0 && len(c.MayTarget) > 1 {
		file.Reject(at.With("mayTarget", i), "%q admits everything that the other entries name: remove it, or the others", anyTarget)
	}
	return usable
}

// anyTarget in mayTarget is everything, as its absence is.
const anyTarget = "*"

// requireOwnName: documents are named by folder and name, so that no team can take the
// name of another team's document.
func (c policyDirConfig) requireOwnName(file *strictyaml.Checker, at strictyaml.Path, others folders) bool {
	if file.Has(at.With("name")) && !policysource.IsDirName(c.Name) {
		file.Reject(at.With("name"), "want letters, digits, dots, _ and -, at most 63, not %q", c.Name)
		return false
	}
	for _, other := range others {
		if other.Name == c.Name {
			file.Reject(at, "two folders are named %q, %s and %s: give one of them another name, as in {path: %s, name: NAME}", c.Name, other.Path, c.Path, c.Path)
			return false
		}
	}
	return true
}

// requireApart rejects a folder inside another one: its documents would be loaded as those
// of both, and a team's would be guardrails where the outer folder holds guardrails.
func (c policyDirConfig) requireApart(file *strictyaml.Checker, at strictyaml.Path, others folders) bool {
	for _, other := range others {
		if policysource.FoldersOverlap(c.Path, other.Path) {
			file.Reject(at, "%s and %s are one folder, or one is inside the other: list folders that have no file in common", c.Path, other.Path)
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

// open returns the folders as they are now.
func (f folders) open() []policysource.Dir {
	var dirs []policysource.Dir
	for _, c := range f {
		dir := policysource.OSDir(c.Path)
		dir.Name, dir.MayTarget, dir.Guardrail = c.Name, c.MayTarget, c.Guardrail
		dirs = append(dirs, dir)
	}
	return dirs
}
