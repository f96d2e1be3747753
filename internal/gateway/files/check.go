package files

import (
	"time"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/keyset"
)

// CheckConfig finds what the plugin would reject in a configuration and in all files that it names. It
// writes nothing. The name is for messages, and relative paths start from its folder. A document that is
// rejected is a warning, because the plugin runs without it, or with strict a problem.
func CheckConfig(name string, data []byte, strict bool, now time.Time) (found strictyaml.Findings) {
	c, file, err := settings.Load(name, data)
	if err != nil {
		return strictyaml.Findings{Problems: strictyaml.AsProblems(err)}
	}
	if c.SecretFile != "" {
		_, err := ReadSecret(c.SecretFile)
		file.RejectError(strictyaml.Path{"secretFile"}, err)
	}
	if c.Revocation.File != "" {
		_, err := ReadRevocations(c.Revocation.File)
		file.RejectError(strictyaml.Path{"revocation", "file"}, err)
	}
	c.Audit.Chain.Load(file)
	keys := checkKeys(file, c)
	if file.Err() == nil { // documents depend on the workload and the mappings
		found.Warnings = checkDocuments(file, c, strict)
	}
	found.Problems = strictyaml.AsProblems(file.Err())
	found.NotChecked = strictyaml.Problems{{File: name, Message: "what only the gateway shows: the definitions of its APIs (hooks, jwt_source, what Tyk may keep a copy of), tyk.conf, and whether the address of metrics is free"}}
	if len(found.Problems) > 0 {
		found.Warnings = nil
		return found
	}
	if _, err := keys.Current(now); err != nil {
		found.Warnings = append(found.Warnings, file.ProblemAt(strictyaml.Path{"keys", "dir"}, "no key signs now, so that every request is denied (no_signing_key): %s", err))
	}
	return found
}

// checkKeys also signs with every key, if the configuration has no mistake.
func checkKeys(file *strictyaml.Checker, c *settings.Config) *keyset.SigningKeys {
	if c.Keys.Dir == "" {
		return nil
	}
	read := ReadKeys
	if file.Err() != nil {
		read = func(c *settings.Config) (*keyset.SigningKeys, error) { return keyset.LoadSigningKeys(c.Keys.Dir) }
	}
	keys, err := read(c)
	file.RejectError(strictyaml.Path{"keys", "dir"}, err)
	return keys
}

func checkDocuments(file *strictyaml.Checker, c *settings.Config, strict bool) (warnings strictyaml.Problems) {
	if len(c.Edge.Policies) == 0 {
		return nil
	}
	loaded := NewPolicyLoader(c).LoadEach(nil, PolicyDirs(c)...)
	if strict || loaded.Unread() > 0 { // a folder that cannot be read guards nothing
		file.RejectError(strictyaml.Path{"edge", "policies"}, loaded.Problems.Err())
		return nil
	}
	return loaded.Warnings()
}
