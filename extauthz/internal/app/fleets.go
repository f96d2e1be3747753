package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// Verifier is the one that `meshpass serve` would use with this configuration file
// now. Of the file, only what it is made of is judged. Key sets at URLs are fetched
// once; log is told why one has not come.
func Verifier(file string, now func() time.Time, log *slog.Logger) (*token.Verifier, error) {
	l, err := open(file)
	if err != nil {
		return nil, err
	}
	l.checkLimits()
	domains := l.trustDomains()
	entries := l.trust(domains)
	revoked := l.revokedNow(now())
	if err := l.check.Err(); err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.Remote != nil {
			entry.Remote.Seed = "" // it is the running authorizer's
		}
	}
	f := l.registry(domains, revoked, Process{Now: now, Log: log})
	defer f.Close()
	if err := f.Apply(context.Background(), entries); err != nil {
		return nil, err
	}
	return f.Verifier(), nil
}

// IssuersOf lists the issuers that a configuration names: those that an authorizer trusts,
// or the one in whose name a plugin signs. Nothing else of the file is judged.
func IssuersOf(file string) ([]string, error) {
	data, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	doc, err := strictyaml.Parse(data)
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		return nil, problems.In(file)
	} else if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", file, err)
	}
	var c struct {
		Issuer string `yaml:"issuer"`
		Trust  []struct {
			Issuer string `yaml:"issuer"`
		} `yaml:"trust"`
	}
	_ = doc.Decode(&c) // the other sections are not known here, and judged elsewhere
	all := []string{}
	if c.Issuer != "" {
		all = append(all, c.Issuer)
	}
	for _, t := range c.Trust {
		if t.Issuer != "" {
			all = append(all, t.Issuer)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("configuration %s: it names no issuer: want the authorizer's file, with trust, or the plugin's, with issuer", file)
	}
	return all, nil
}

func (l *loader) registry(domains identity.TrustDomains, revoked revocation.Checker, p Process) *trust.Registry {
	return trust.New(trust.Config{Domains: domains, Log: p.Log, Now: p.Now, Options: token.Options{
		MaxBytes: l.config.Limits.TokenBytes, AllowTest: l.config.Insecure.AllowTestTokens,
		Revocations: revoked, Cache: l.config.Cache.VerifiedTokens.cache(),
	}})
}

// watchTrust follows the trust section of the configuration, and its key files on
// their own: a slip anywhere in the configuration keeps no key from being withdrawn.
func (a *authorizer) watchTrust(l *loader) {
	w := &trustWatch{authorizer: a, started: l}
	var err error
	if a.config, err = reload.New(reload.Files(l.check.File()), w.readConfig, w.configChanged); err != nil {
		l.check.RejectError(strictyaml.Path{"trust"}, err)
		return
	}
	a.trust, err = reload.NewFollowing(w.keyFiles, w.readTrust, w.trustChanged)
	l.check.RejectError(strictyaml.Path{"trust"}, err)
}

// trustWatch reads the configuration again. Of it, trust alone takes effect: what
// else differs is logged, and waits for a restart.
type trustWatch struct {
	*authorizer
	started *loader
}

// trusted is what is made of the active trust section and its key files.
type trusted struct {
	entries []trust.Entry
	keys    map[string]*keyset.PublicKeys // of the files, by path
	faults  strictyaml.Problems           // files in whose place stands what they held before
	unread  int
}

// Unread is the number of key files that could not be read.
func (t trusted) Unread() int { return t.unread }

// readConfig gives a configuration of which the whole trust section can be used, with
// all key files that it names for the first time.
func (w *trustWatch) readConfig() (*loader, error) {
	l, err := w.started.trustNow()
	if err != nil {
		return nil, err
	}
	if w.trust != nil {
		l.lastKeys = w.trust.Get().keys
	}
	entries := l.trust(w.domains)
	if err := l.check.ErrOfValues(); err != nil {
		return nil, err
	}
	usable := l.again()
	usable.lastKeys = l.keysOf(entries) // a new file may break before it is read again
	return usable, w.registry.CheckConflicts(entries)
}

// keysOf are the keys of the entries' files, by path.
func (l *loader) keysOf(entries []trust.Entry) map[string]*keyset.PublicKeys {
	keys := map[string]*keyset.PublicKeys{}
	for i, c := range l.config.Trust {
		if c.JWKS.File != "" {
			keys[l.check.ResolvePath(c.JWKS.File)] = entries[i].Trust.Keys
		}
	}
	return keys
}

func (w *trustWatch) configChanged(latest *loader, err error) {
	if w.refused(configSource, err) {
		return
	}
	w.Log.Info("configuration reloaded", "file", latest.check.File())
	if waiting := w.started.waiting(latest); len(waiting) > 0 {
		w.Log.Warn("the configuration has changed in more than trust: a restart is needed for the rest", "sections", waiting)
	}
	w.trust.LoadAgain()
}

func (w *trustWatch) keyFiles() []reload.Input { return reload.Files(w.config.Get().keyFiles()...) }

func (w *trustWatch) readTrust() (trusted, error) {
	config := w.config.Get()
	l := config.again()
	l.lastKeys = maps.Clone(config.lastKeys)
	if w.trust != nil {
		maps.Copy(l.lastKeys, w.trust.Get().keys)
	}
	t := trusted{entries: l.trust(w.domains)}
	if err := l.check.ErrOfValues(); err != nil {
		return t, err
	}
	l.keepKeysFrom(t.entries, w.registry.CheckConflicts)
	t.faults, t.unread = l.keyFault, l.unread
	t.keys = l.keysOf(t.entries)
	return t, w.registry.CheckConflicts(t.entries)
}

// trustNow is the started configuration with the trust section that the file has
// now. A file of which any part has not the right shape is rejected as a whole: a
// restart could not use it.
func (l *loader) trustNow() (*loader, error) {
	fresh, err := open(l.check.File())
	if err != nil {
		return nil, err
	}
	if bytes.Equal(fresh.data, l.data) {
		return l.again(), nil
	}
	if err := fresh.check.Err(); err != nil {
		return nil, err
	}
	trust := fresh.config.Trust
	fresh.config = l.config
	fresh.config.Trust = trust
	return fresh, nil
}

func (w *trustWatch) trustChanged(t trusted, err error) {
	if w.refused(jwksSource, err) {
		return
	}
	if err := w.registry.Apply(context.Background(), t.entries); w.refused(jwksSource, err) {
		return
	}
	w.followHome(t.entries)
	var issuers []string
	for _, entry := range t.entries {
		issuers = append(issuers, entry.Trust.Issuer)
	}
	w.Log.Info("keys reloaded", "issuers", issuers)
	w.refused(jwksSource, t.faults.Err())
}

// trustSource is not up to date while a key file cannot be used, even where all the
// others are active.
type trustSource struct{ *reload.Value[trusted] }

func (s trustSource) Err() error {
	if err := s.Value.Err(); err != nil {
		return err
	}
	return s.Get().faults.Err()
}

// waiting names the sections, besides trust, that differ between two readings.
func (l *loader) waiting(latest *loader) (sections []string) {
	before, after := reflect.ValueOf(l.written()), reflect.ValueOf(latest.written())
	for i := range before.NumField() {
		section, _, _ := strings.Cut(before.Type().Field(i).Tag.Get("yaml"), ",")
		if section != "trust" && !reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
			sections = append(sections, section)
		}
	}
	return sections
}

// written is the file's own content, without defaults.
func (l *loader) written() (c config) {
	l.check.DecodeAgain(&c)
	return c
}
