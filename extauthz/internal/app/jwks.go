package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// jwksConfig says where the public keys of a fleet are: a file, or a URL with all
// that belongs to it.
type jwksConfig struct {
	File     string        `yaml:"file"`
	URL      string        `yaml:"url"`
	CAFile   string        `yaml:"caFile"`
	Refresh  time.Duration `yaml:"refresh"`
	MaxStale time.Duration `yaml:"maxStale"`
	Seed     string        `yaml:"seed"`
}

const (
	defaultRefresh  = 5 * time.Minute
	minRefresh      = time.Second
	maxRefresh      = 24 * time.Hour
	defaultMaxStale = 24 * time.Hour
	maxMaxStale     = 7 * 24 * time.Hour
)

// jwks gives the keys of a file, or where they are to be followed.
func (l *loader) jwks(at strictyaml.Path, c trustConfig) (*keyset.PublicKeys, *jwks.Config) {
	if !l.check.Has(at.With("url")) {
		for _, key := range []string{"caFile", "refresh", "maxStale", "seed"} {
			if l.check.Has(at.With(key)) {
				l.check.Reject(at.With(key), "belongs to url, and there is none")
			}
		}
		return l.keys(at.With("file"), c.JWKS.File), nil
	}
	if l.check.Has(at.With("file")) {
		l.check.Reject(at.With("file"), "file and url: name one of them")
	}
	return nil, l.remote(at, c.Issuer, c.JWKS)
}

func (l *loader) remote(at strictyaml.Path, issuer string, c jwksConfig) *jwks.Config {
	if !l.check.Has(at.With("refresh")) {
		c.Refresh = defaultRefresh
	}
	if !l.check.Has(at.With("maxStale")) {
		c.MaxStale = defaultMaxStale
	}
	if l.check.RequireText(at.With("url"), c.URL) {
		if err := jwks.CheckURL(c.URL, l.config.Insecure.JWKSOverHTTP); err != nil {
			l.check.Reject(at.With("url"), "%s", err)
		}
	}
	strictyaml.RequireRange(l.check, at.With("refresh"), c.Refresh, minRefresh, maxRefresh)
	strictyaml.RequireRange(l.check, at.With("maxStale"), c.MaxStale, max(c.Refresh, minRefresh), maxMaxStale)
	remote := &jwks.Config{Issuer: issuer, URL: c.URL, Refresh: c.Refresh, MaxStale: c.MaxStale}
	if l.check.Has(at.With("caFile")) && l.check.RequireText(at.With("caFile"), c.CAFile) {
		remote.CAFile = l.check.ResolvePath(c.CAFile)
		if _, err := transport.Roots(remote.CAFile); err != nil {
			l.check.Reject(at.With("caFile"), "%s", err)
		}
	}
	if l.check.Has(at.With("seed")) && l.check.RequireText(at.With("seed"), c.Seed) {
		remote.Seed = l.check.ResolvePath(c.Seed)
		if l.check.RequireDir(at.With("seed"), filepath.Dir(remote.Seed)) {
			l.checkSeedFile(at.With("seed"), remote.Seed)
		}
	}
	return remote
}

// checkSeedFile rejects a seed that others may write: with it they sign for the issuer.
func (l *loader) checkSeedFile(at strictyaml.Path, file string) {
	if err := secretfile.CheckFolder(filepath.Dir(file)); err != nil {
		l.check.Reject(at, "%s", err)
	} else if err := secretfile.Check(file, secretfile.Trusted); errors.Is(err, secretfile.ErrOpen) {
		l.check.Reject(at, "%s", err)
	}
}

// checkSeed: what two sources write to one file would be neither's after a restart.
func (l *loader) checkSeed(at strictyaml.Path, remote *jwks.Config, seen map[string]bool) {
	if remote == nil || remote.Seed == "" {
		return
	}
	if seen[remote.Seed] {
		l.check.Reject(at, "another entry has the same seed file: give each its own")
	}
	seen[remote.Seed] = true
}

// keyFiles are the files that [loader.trust] reads.
func (l *loader) keyFiles() []string {
	var all []string
	for _, c := range l.config.Trust {
		if c.JWKS.File != "" {
			all = append(all, l.check.ResolvePath(c.JWKS.File))
		}
	}
	return all
}

func (l *loader) keys(at strictyaml.Path, file string) *keyset.PublicKeys {
	if !l.check.RequireText(at, file) {
		return nil
	}
	name := l.check.ResolvePath(file)
	data, err := readfile.Read(name, keyset.MaxSetBytes+1)
	if err != nil {
		return l.keysBefore(at, name, true, err)
	}
	keys, err := keyset.ParseJWKS(data)
	if err != nil {
		return l.keysBefore(at, name, false, fmt.Errorf("%s: %w", name, err))
	}
	return keys
}

// keysBefore are those that the file held when it could be used last: what is wrong
// with one file keeps no key in another one from being added or withdrawn.
func (l *loader) keysBefore(at strictyaml.Path, name string, unread bool, err error) *keyset.PublicKeys {
	last := l.lastKeys[name]
	if last == nil {
		l.check.Reject(at, "%s", err)
		return nil
	}
	l.keyFault = append(l.keyFault, l.check.ProblemAt(at, "%s", err))
	if unread {
		l.unread++
	}
	return last
}

// keepKeysFrom has a file whose change is in conflict with another entry keep what it
// held before, so that the mistake in it holds back no other file. A change that is
// right once another file has changed, as when a key moves, is taken with it.
func (l *loader) keepKeysFrom(entries []trust.Entry, conflict func([]trust.Entry) error) {
	agreed := slices.Clone(entries)
	var open []int // files that have changed, and are not in agreed yet
	for i, c := range l.config.Trust {
		if last := l.lastKeys[l.check.ResolvePath(c.JWKS.File)]; c.JWKS.File != "" && last != nil && entries[i].Trust.Keys != last {
			agreed[i].Trust.Keys = last
			open = append(open, i)
		}
	}
	causes := map[int]error{}
	for before := len(open) + 1; len(open) < before; {
		before = len(open)
		open = slices.DeleteFunc(open, func(i int) bool {
			with := slices.Clone(agreed)
			with[i] = entries[i]
			if causes[i] = conflict(with); causes[i] != nil {
				return false
			}
			agreed[i] = entries[i]
			return true
		})
	}
	for _, i := range open {
		at := strictyaml.Path{"trust", i, "jwks", "file"}
		l.keyFault = append(l.keyFault, l.check.ProblemAt(at, "%s", causes[i]))
	}
	copy(entries, agreed)
}

// takesAnothersKey is the mistake of [loader.checkSigners].
func (l *loader) takesAnothersKey(entries []trust.Entry) error {
	again := l.again()
	signers := map[string]signer{}
	for i, entry := range entries {
		again.checkSigners(strictyaml.Path{"trust", i, "jwks", "file"}, entry.Trust, signers)
	}
	if problems := strictyaml.AsProblems(again.check.ErrOfValues()); len(problems) > 0 {
		return errors.New(problems[0].Message)
	}
	return nil
}

// signer is the entry of a file that has a key.
type signer struct {
	issuer string
	home   bool
}

// checkSigners refuses a key that two home files share: both are ours, so that it is a
// mistake. Where one of two entries is not home, package trust says whose the key is.
func (l *loader) checkSigners(at strictyaml.Path, entry token.Trust, signers map[string]signer) {
	if entry.Keys == nil {
		return
	}
	for _, kid := range slices.Sorted(slices.Values(entry.Keys.KeyIDs())) {
		other, taken := signers[kid]
		if taken && other.issuer != entry.Issuer && other.home && entry.Home {
			l.check.Reject(at, "key %s is also a key of %s: one key speaks for one issuer", kid, other.issuer)
		}
		if !taken || !other.home {
			signers[kid] = signer{entry.Issuer, entry.Home}
		}
	}
}
