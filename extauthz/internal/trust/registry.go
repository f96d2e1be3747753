// Package trust keeps whom the authorizer trusts now: the entries of its
// configuration, the key set of each, from a file or followed at a URL, and the
// verifier that these make together.
//
// The verifier is immutable and replaced as a whole, whenever an entry or a key
// set changes or gets too old. A key speaks for one issuer, its owner: of a set that
// has a key of another issuer, that copy is dropped and the rest is used.
package trust

import (
	"context"
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

// Entry is one fleet of gateways.
type Entry struct {
	Trust   token.Trust  // its keys are those of the file; nil where Remote says where they are
	Remote  *jwks.Config // nil: Trust has the keys
	Publish bool         // show its keys to whoever asks
}

// Config is what all entries share.
type Config struct {
	Domains identity.TrustDomains
	Options token.Options // KeyMissing is set by us
	Log     *slog.Logger
	Now     func() time.Time
}

// Registry is safe for use from many goroutines. It trusts nobody until [Registry.Apply].
type Registry struct {
	Config
	usable chan struct{} // closed once some issuer has keys
	once   sync.Once

	applying sync.Mutex // one Apply at a time
	loops    sync.WaitGroup

	mu       sync.Mutex // of those who make a snapshot
	fleets   []fleet
	snapshot atomic.Pointer[snapshot]
}

type fleet struct {
	Entry
	source *jwks.Source       // nil: the keys are of a file
	set    *keyset.PublicKeys // all keys of its set when the snapshot was made, copies of other issuers' keys included; nil: none
	stop   context.CancelFunc
}

// New trusts nobody yet.
func New(c Config) *Registry {
	f := &Registry{Config: c, usable: make(chan struct{})}
	f.Options.Now = c.Now
	f.Options.KeyMissing = f.missing
	return f
}

// Verifier is the one in force; nil before the first Apply.
func (f *Registry) Verifier() *token.Verifier {
	if s := f.snapshot.Load(); s != nil {
		return s.verifier
	}
	return nil
}

// Usable is closed once the keys of at least one issuer may be used.
func (f *Registry) Usable() <-chan struct{} { return f.usable }

// Apply puts these entries in the place of those before, whole or not at all. A
// source that stays as it is keeps its keys; a new one is asked first, which takes
// 5 s at most, and if it has no answer its issuer is without keys until it has.
func (f *Registry) Apply(ctx context.Context, entries []Entry) error {
	f.applying.Lock()
	defer f.applying.Unlock()
	f.mu.Lock()
	before, known := f.fleets, f.snapshot.Load()
	f.mu.Unlock()
	next := make([]fleet, len(entries))
	var first sync.WaitGroup
	for i, entry := range entries {
		next[i] = continued(before, entry)
		if entry.Remote != nil && next[i].source == nil {
			source := f.follow(*entry.Remote)
			next[i].source = source
			first.Go(func() { source.Fetch(ctx) })
		}
	}
	first.Wait()
	if err := f.replace(next); err != nil {
		return err
	}
	f.startAndStop(before)
	f.mu.Lock()
	now, fleets := f.snapshot.Load(), slices.Clone(f.fleets)
	f.mu.Unlock()
	saveOwners(fleets, known, now)
	return nil
}

// continued is the entry with the source that it has already, if any.
func continued(before []fleet, entry Entry) fleet {
	for _, old := range before {
		if old.source != nil && entry.Remote != nil && old.source.Config == *entry.Remote {
			return fleet{Entry: entry, source: old.source, stop: old.stop}
		}
	}
	return fleet{Entry: entry}
}

func (f *Registry) follow(c jwks.Config) *jwks.Source {
	return jwks.New(c, jwks.Hooks{
		Accept:  func(keys *keyset.PublicKeys) error { return f.accept(c, keys) },
		Owned:   func(keys *keyset.PublicKeys) ([]string, bool) { return f.ownedBy(c.Issuer, keys) },
		Changed: f.changed, Log: f.Log, Now: f.Now,
	})
}

func (f *Registry) replace(next []fleet) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.fleets
	f.fleets = next
	if err := f.remake(); err != nil {
		f.fleets = before
		return err
	}
	return nil
}

// startAndStop has every source run that is in force, and no other.
func (f *Registry) startAndStop(before []fleet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := map[*jwks.Source]bool{}
	for i := range f.fleets {
		now := &f.fleets[i]
		kept[now.source] = true
		if now.source != nil && now.stop == nil {
			ctx, cancel := context.WithCancel(context.Background())
			now.stop = cancel
			f.loops.Go(func() { now.source.Run(ctx) })
		}
	}
	for _, old := range before {
		if old.stop != nil && !kept[old.source] {
			old.stop()
		}
	}
}

// closing is how long Close waits. A source can hang where its CA file or its seed is, as
// at a network mount whose server is away.
const closing = time.Second

// Close ends the following of all sources; what is active stays. It does not wait for
// one that hangs.
func (f *Registry) Close() {
	f.mu.Lock()
	for _, fleet := range f.fleets {
		if fleet.stop != nil {
			fleet.stop()
		}
	}
	f.mu.Unlock()
	ended := make(chan struct{})
	go func() { f.loops.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(closing):
	}
}

// missing is called on the way of a request.
func (f *Registry) missing(issuer, kid string) {
	s := f.snapshot.Load()
	if source := s.sources[issuer]; source != nil {
		source.FetchForKey(kid)
	}
}
