// Package trust holds the trust entries of the authorizer: which issuers it trusts, the
// key set of each, from a file or followed at a URL, and the verifier of their tokens.
//
// The verifier is immutable. It is replaced as a whole when an entry or a key set
// changes or becomes too old. A key may sign for one issuer only, its owner: where
// another issuer's set contains the key, that copy is dropped and the rest is used.
package trust

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/trust/jwks"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// Config is common to all entries.
type Config struct {
	Domains identity.TrustDomains
	Options token.Options // New sets Now and KeyMissing
	Log     *slog.Logger
	Now     func() time.Time
}

// Registry is safe for use from many goroutines. It trusts no issuer until
// [Registry.Apply].
type Registry struct {
	config     Config
	usable     chan struct{} // closed once some issuer has keys
	makeUsable sync.Once

	applying sync.Mutex // one Apply at a time
	loops    sync.WaitGroup

	mu       sync.Mutex // guards entries, and the making of a snapshot
	entries  []trustEntry
	snapshot atomic.Pointer[snapshot]
}

// New makes a registry without entries.
func New(c Config) *Registry {
	r := &Registry{config: c, usable: make(chan struct{})}
	r.config.Options.Now = c.Now
	r.config.Options.KeyMissing = r.fetchMissingKey
	return r
}

// Verifier is the active one; nil before the first Apply.
func (r *Registry) Verifier() *token.Verifier {
	if s := r.snapshot.Load(); s != nil {
		return s.verifier
	}
	return nil
}

// Usable is closed once the keys of at least one issuer may be used.
func (r *Registry) Usable() <-chan struct{} { return r.usable }

// Published is the JWKS document of an issuer whose entry has Publish, or of all of
// these for the empty name. Nil data: there are no keys now.
func (r *Registry) Published(issuer string) (data []byte, known bool) {
	s := r.snapshot.Load()
	if s == nil {
		return nil, false
	}
	data, known = s.published[issuer]
	return data, known
}

// Apply replaces all entries, as a whole or not at all. A source that has not changed
// keeps its keys. A new source is fetched first, which takes 5 s at most. If that fails,
// its issuer has no keys until a later fetch succeeds.
func (r *Registry) Apply(ctx context.Context, entries []Entry) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	before, snapshotBefore := r.entries, r.snapshot.Load()
	r.mu.Unlock()
	next := make([]trustEntry, len(entries))
	var firstFetches sync.WaitGroup
	for i, entry := range entries {
		next[i] = reuseSource(before, entry)
		if entry.Remote != nil && next[i].source == nil {
			source := r.newSource(*entry.Remote)
			next[i].source = source
			firstFetches.Go(func() { source.Fetch(ctx) })
		}
	}
	firstFetches.Wait()
	if err := r.replaceEntries(next); err != nil {
		return err
	}
	r.startAndStopSources(before)
	r.mu.Lock()
	after, active := r.snapshot.Load(), slices.Clone(r.entries)
	r.mu.Unlock()
	saveSeeds(active, snapshotBefore, after)
	return nil
}

// Check returns the error that [Registry.Apply] would return, without fetching a key set, and the kids
// that would be dropped from the set of an issuer, because another issuer owns them.
func (r *Registry) Check(entries []Entry) (dropped map[string][]string, err error) {
	var next []trustEntry
	for _, entry := range entries {
		next = append(next, trustEntry{config: entry})
	}
	s, err := newSnapshot(r.config, nil, next)
	if err != nil {
		return nil, err
	}
	return s.dropped, nil
}

// reuseSource returns the entry with its source, if one follows the same URL already.
func reuseSource(before []trustEntry, entry Entry) trustEntry {
	for _, old := range before {
		if old.source != nil && entry.Remote != nil && old.source.Config == *entry.Remote {
			return trustEntry{config: entry, source: old.source, stop: old.stop}
		}
	}
	return trustEntry{config: entry}
}

func (r *Registry) newSource(c jwks.Config) *jwks.Source {
	return jwks.New(c, jwks.Hooks{
		Accept:  func(keys *keyset.PublicKeys) error { return r.acceptKeys(c, keys) },
		Owned:   func(keys *keyset.PublicKeys) ([]string, bool) { return r.ownKeys(c.Issuer, keys) },
		Changed: r.keysChanged, Log: r.config.Log, Now: r.config.Now,
	})
}

func (r *Registry) replaceEntries(next []trustEntry) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.entries
	r.entries = next
	if err := r.replaceSnapshot(); err != nil {
		r.entries = before
		return err
	}
	return nil
}

// replaceSnapshot is called with r.mu held. On error the snapshot stays as it is.
func (r *Registry) replaceSnapshot() error {
	before := r.snapshot.Load()
	after, err := newSnapshot(r.config, before, r.entries)
	if err != nil {
		return err
	}
	r.snapshot.Store(after)
	logDroppedKeys(r.config.Log, before, after)
	if after.hasUsableKeys() {
		r.makeUsable.Do(func() { close(r.usable) })
	}
	return nil
}

// startAndStopSources starts the new sources, and stops those that no entry has now.
func (r *Registry) startAndStopSources(before []trustEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := map[*jwks.Source]bool{}
	for i := range r.entries {
		entry := &r.entries[i]
		kept[entry.source] = true
		if entry.source != nil && entry.stop == nil {
			ctx, cancel := context.WithCancel(context.Background())
			entry.stop = cancel
			source := entry.source
			r.loops.Go(func() { source.Run(ctx) })
		}
	}
	for _, old := range before {
		if old.stop != nil && !kept[old.source] {
			old.stop()
		}
	}
}

// closeTimeout is how long Close waits. A source can hang while it reads its CA file or
// writes its seed, for example on a network mount whose server is down.
const closeTimeout = time.Second

// Close stops all sources. The verifier stays as it is. Close does not wait for a source
// that hangs.
func (r *Registry) Close() {
	r.mu.Lock()
	for _, entry := range r.entries {
		if entry.stop != nil {
			entry.stop()
		}
	}
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() { r.loops.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(closeTimeout):
	}
}

// fetchMissingKey is called while a request waits, so it does not wait itself.
func (r *Registry) fetchMissingKey(issuer, kid string) {
	s := r.snapshot.Load()
	if source := s.sources[issuer]; source != nil {
		source.FetchForKey(kid)
	}
}

// keysChanged is called by a source whose keys have changed. If no verifier can be made
// of them, the active one stays.
func (r *Registry) keysChanged() {
	r.mu.Lock()
	if len(r.entries) == 0 {
		r.mu.Unlock()
		return // the first Apply has not ended yet
	}
	before := r.snapshot.Load()
	if err := r.replaceSnapshot(); err != nil {
		r.config.Log.Error("cannot update the trusted issuers; the previous keys stay active", "error", err)
	}
	after, entries := r.snapshot.Load(), slices.Clone(r.entries)
	r.mu.Unlock()
	saveSeeds(entries, before, after)
}

// acceptKeys rejects a fetched set that contains only keys of other issuers. From any
// other set these keys are dropped later.
//
// A source that is being applied is not compared with the entries that it replaces: one
// of these may be removed at the same time, and the new entries say what is home.
func (r *Registry) acceptKeys(c jwks.Config, keys *keyset.PublicKeys) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.snapshot.Load()
	if s == nil || !slices.ContainsFunc(r.entries, func(e trustEntry) bool { return e.source != nil && e.source.Config == c }) {
		return nil
	}
	home := map[string]bool{}
	for _, e := range r.entries {
		home[e.issuer()] = e.isHome()
	}
	notOwn := slices.DeleteFunc(s.owners.keysOfOthers(c.Issuer, keys), func(kid string) bool {
		return home[c.Issuer] && !home[s.owners[kid]] // a home entry takes its key back
	})
	if keys.Without(notOwn...) == nil {
		return fmt.Errorf("no key of its own: %w", s.owners.conflictError(notOwn))
	}
	return nil
}

// ownKeys lists the kids of the set that the issuer owns. It is unknown for an issuer
// whose entry is being applied.
func (r *Registry) ownKeys(issuer string, keys *keyset.PublicKeys) (kids []string, known bool) {
	s := r.snapshot.Load()
	if s == nil || s.sources[issuer] == nil {
		return nil, false
	}
	return slices.DeleteFunc(keys.KeyIDs(), func(kid string) bool { return s.owners[kid] != issuer }), true
}

// CheckConflicts rejects home entries whose file contains a key that another home
// entry's URL has now: both are our own, so this is a mistake in the configuration.
// Where one of two entries is not home, one of them keeps the key and the other's copy
// is dropped.
func (r *Registry) CheckConflicts(entries []Entry) error {
	s := r.snapshot.Load()
	if s == nil {
		return nil
	}
	homeAtURL := map[string]bool{}
	for _, entry := range entries {
		homeAtURL[entry.Trust.Issuer] = entry.Remote != nil && entry.Trust.Home
	}
	for _, entry := range entries {
		if entry.Remote != nil || !entry.Trust.Home {
			continue
		}
		shared := slices.DeleteFunc(s.owners.keysOfOthers(entry.Trust.Issuer, entry.Trust.Keys), func(kid string) bool {
			return !homeAtURL[s.owners[kid]]
		})
		if err := s.owners.conflictError(shared); err != nil {
			return err
		}
	}
	return nil
}
