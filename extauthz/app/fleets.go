package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/meshpass/meshpass/extauthz/fleets"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/reload"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/strictyaml"
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
	if err := l.err(); err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if entry.Remote != nil {
			entry.Remote.Seed = "" // it is the running authorizer's
		}
	}
	f := l.fleets(domains, revoked, Process{Now: now, Log: log})
	defer f.Close()
	if err := f.Apply(context.Background(), entries); err != nil {
		return nil, err
	}
	return f.Verifier(), nil
}

// IssuersOf lists the issuers that a configuration names: those that an authorizer trusts,
// or the one in whose name a plugin signs. Nothing else of the file is judged.
func IssuersOf(file string) ([]string, error) {
	data, err := os.ReadFile(file)
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

func (l *loader) fleets(domains identity.TrustDomains, revoked revocation.Checker, p Process) *fleets.Fleets {
	return fleets.New(fleets.Config{Domains: domains, Log: p.Log, Now: p.Now, Options: token.Options{
		MaxBytes: l.config.Limits.TokenBytes, AllowTest: l.config.Insecure.AllowTestTokens,
		Revocations: revoked, Cache: l.config.Cache.VerifiedTokens.cache(),
	}})
}

// watchTrust follows the trust section of the configuration with its key files.
func (a *authorizer) watchTrust(l *loader) {
	w := &trustWatch{authorizer: a, started: l, latest: l}
	var err error
	a.trust, err = reload.NewFollowing(w.files, w.load, w.changed)
	l.join(err)
}

// trustWatch reads the configuration anew. Of it, trust alone takes effect: what
// else differs is told, and waits for a restart.
type trustWatch struct {
	*authorizer
	started *loader

	mu     sync.Mutex
	latest *loader // as the file was read last
}

func (w *trustWatch) files() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{w.started.file}, w.latest.keyFiles()...)
}

func (w *trustWatch) load() ([]fleets.Entry, error) {
	l, err := w.started.trustNow()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.latest = l
	w.mu.Unlock()
	entries := l.trust(w.domains)
	if err := l.problems.In(l.file).Err(); err != nil {
		return nil, err
	}
	return entries, w.fleets.Conflict(entries)
}

// trustNow is the started configuration with the trust section that the file has
// now. A file of which any part has not the right shape is refused as a whole: a
// restart could not use it.
func (l *loader) trustNow() (*loader, error) {
	data, err := os.ReadFile(l.file)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(data, l.data) {
		return l.again(), nil
	}
	fresh, err := open(l.file)
	if err != nil {
		return nil, err
	}
	if err := fresh.err(); err != nil {
		return nil, err
	}
	trust := fresh.config.Trust
	fresh.config = l.config
	fresh.config.Trust = trust
	return fresh, nil
}

func (w *trustWatch) changed(entries []fleets.Entry, err error) {
	if w.refused(jwksSource, err) {
		return
	}
	if err := w.fleets.Apply(context.Background(), entries); w.refused(jwksSource, err) {
		return
	}
	w.followHome(entries)
	var issuers []string
	for _, entry := range entries {
		issuers = append(issuers, entry.Trust.Issuer)
	}
	w.Log.Info("keys reloaded", "issuers", issuers)
	if waiting := w.started.waiting(w.latest); len(waiting) > 0 {
		w.Log.Warn("the configuration has changed in more than trust: a restart is needed for the rest", "sections", waiting)
	}
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
	_ = l.doc.Decode(&c) // its problems were found when the file was opened
	return c
}
