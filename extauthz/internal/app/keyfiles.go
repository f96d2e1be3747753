package app

import (
	"fmt"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// trustedIssuers are made of a trust section and the key files that it names.
type trustedIssuers struct {
	entries []trust.Entry
	keys    map[string]*keyset.PublicKeys // of the files, by path
	faults  strictyaml.Problems           // files whose former keys are used, because their content cannot be
	unread  int                           // of these, the files that could not be read at all
}

// Unread is the number of key files that could not be read.
func (t trustedIssuers) Unread() int { return t.unread }

// hasHome reports whether one of the entries is home: without one, there is no outage
// that onOutage: allow could mean.
func hasHome(entries []trust.Entry) bool {
	return slices.ContainsFunc(entries, func(e trust.Entry) bool { return e.Trust.Home })
}

// readTrust checks the trust section and reads its key files. A file that cannot be used keeps its
// last keys, if there are any: a mistake in one file keeps no key in another one from being
// added or withdrawn.
func readTrust(file *strictyaml.Checker, section []trustConfig, domains identity.TrustDomains, insecure insecureConfig, last map[string]*keyset.PublicKeys) trustedIssuers {
	t := trustedIssuers{entries: parseTrust(file, section, domains, insecure), keys: map[string]*keyset.PublicKeys{}}
	for i, entry := range section {
		if entry.JWKS.File == "" || t.entries[i].Remote != nil {
			continue
		}
		path := file.ResolvePath(entry.JWKS.File)
		t.entries[i].Trust.Keys = t.readKeyFile(file, atKeyFile(i), path, last[path])
	}
	t.keepLastKeys(file, section, last, findSharedKey)
	for _, shared := range sharedKeys(t.entries) {
		file.RejectError(atKeyFile(shared.entry), shared.err)
	}
	t.rememberKeys(file, section)
	return t
}

func atKeyFile(entry int) strictyaml.Path { return strictyaml.Path{"trust", entry, "jwks", "file"} }

// keyFiles are the files that [readTrust] reads.
func keyFiles(file *strictyaml.Checker, all []trustConfig) []string {
	var paths []string
	for _, c := range all {
		if c.JWKS.File != "" {
			paths = append(paths, file.ResolvePath(c.JWKS.File))
		}
	}
	return paths
}

func (t *trustedIssuers) rememberKeys(file *strictyaml.Checker, all []trustConfig) {
	for i, c := range all {
		if c.JWKS.File != "" {
			t.keys[file.ResolvePath(c.JWKS.File)] = t.entries[i].Trust.Keys
		}
	}
}

// readKeyFile returns the keys of a file, or the last ones with a fault.
func (t *trustedIssuers) readKeyFile(file *strictyaml.Checker, at strictyaml.Path, path string, last *keyset.PublicKeys) *keyset.PublicKeys {
	data, err := readfile.Read(path, keyset.MaxSetBytes+1)
	unread := err != nil
	if err == nil {
		var keys *keyset.PublicKeys
		if keys, err = keyset.ParseJWKS(data); err == nil {
			return keys
		}
		err = fmt.Errorf("%s: %w", path, err)
	}
	if last == nil {
		file.Reject(at, "%s", err)
		return nil
	}
	t.faults = append(t.faults, file.ProblemAt(at, "%s", err))
	if unread {
		t.unread++
	}
	return last
}

// keepLastKeys has a file whose change is in conflict with another entry keep what it
// held before, so that the mistake in it delays no other file. A change that is
// right once another file has changed, as when a key moves, becomes active with it.
func (t *trustedIssuers) keepLastKeys(file *strictyaml.Checker, all []trustConfig, last map[string]*keyset.PublicKeys, findConflict func([]trust.Entry) error) {
	agreed := slices.Clone(t.entries)
	var open []int // files that have changed, and are not in agreed yet
	for i, c := range all {
		if before := last[file.ResolvePath(c.JWKS.File)]; c.JWKS.File != "" && before != nil && t.entries[i].Trust.Keys != before {
			agreed[i].Trust.Keys = before
			open = append(open, i)
		}
	}
	causes := map[int]error{}
	for before := len(open) + 1; len(open) < before; {
		before = len(open)
		open = slices.DeleteFunc(open, func(i int) bool {
			with := slices.Clone(agreed)
			with[i] = t.entries[i]
			if causes[i] = findConflict(with); causes[i] != nil {
				return false
			}
			agreed[i] = t.entries[i]
			return true
		})
	}
	for _, i := range open {
		t.faults = append(t.faults, file.ProblemAt(atKeyFile(i), "%s", causes[i]))
	}
	t.entries = agreed
}

// findSharedKey returns the first of [sharedKeys], or nil.
func findSharedKey(entries []trust.Entry) error {
	for _, shared := range sharedKeys(entries) {
		return shared.err
	}
	return nil
}

type sharedKey struct {
	entry int
	err   error
}

// sharedKeys finds keys of a home file that another home file has too: both are ours, so that it is
// a mistake. Where one of two entries is not home, package trust decides whose the key is.
func sharedKeys(entries []trust.Entry) (shared []sharedKey) {
	owners := map[string]token.Trust{}
	for i, entry := range entries {
		if entry.Trust.Keys == nil {
			continue
		}
		for _, kid := range slices.Sorted(slices.Values(entry.Trust.Keys.KeyIDs())) {
			other, taken := owners[kid]
			if taken && other.Issuer != entry.Trust.Issuer && other.Home && entry.Trust.Home {
				shared = append(shared, sharedKey{i, fmt.Errorf("key %s is also a key of %s: one key may sign for one issuer", kid, other.Issuer)})
			}
			if !taken || !other.Home {
				owners[kid] = entry.Trust
			}
		}
	}
	return shared
}
