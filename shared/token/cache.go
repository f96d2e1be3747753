package token

import (
	"crypto/sha256"
	"sync"

	gocache "github.com/patrickmn/go-cache"

	"github.com/meshpass/meshpass/shared/identity"
)

// cache remembers accepted tokens, and nothing of others: what a forger sends
// takes no room. It belongs to one verifier and so to one snapshot of trust.
//
// The library's cache is unbounded. So there are two, the younger of which takes
// what is new or was asked for again; when it is full, the older one is dropped as
// a whole and it becomes the older. The library's own expiry is not used: it asks
// the wall clock, and a token's leeway is for its issuer to say.
type cache struct {
	half int // entries in one generation

	mu             sync.RWMutex
	younger, older *gocache.Cache
}

func newCache(most int) *cache {
	if most <= 0 {
		return nil
	}
	return &cache{half: (most + 1) / 2, younger: generation(), older: generation()}
}

func generation() *gocache.Cache { return gocache.New(gocache.NoExpiration, 0) }

// cacheKey is a hash, so that the cache holds no bearer that a core dump could
// give away, and its memory does not grow with the tokens' length.
func cacheKey(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return string(sum[:])
}

// get passes over what is longer than any token, as no rule has looked at it yet.
func (c *cache) get(raw string) (accepted, bool) {
	if c == nil || len(raw) > MaxBytes {
		return accepted{}, false
	}
	key := cacheKey(raw)
	c.mu.RLock()
	younger, older := c.younger, c.older
	c.mu.RUnlock()
	if found, ok := younger.Get(key); ok {
		return found.(accepted), true
	}
	found, ok := older.Get(key)
	if !ok {
		return accepted{}, false
	}
	a := found.(accepted)
	c.keep(key, a)
	return a, true
}

func (c *cache) put(raw string, a accepted) {
	if c != nil {
		c.keep(cacheKey(raw), a)
	}
}

func (c *cache) keep(key string, a accepted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.younger.ItemCount() >= c.half {
		c.younger, c.older = generation(), c.younger
	}
	c.younger.Set(key, a, gocache.NoExpiration)
}

// copyOfClaims is the caller's own, down to the last member: whoever changes it
// changes nobody else's.
func (a accepted) copyOfClaims() *identity.Claims {
	claims := *a.claims
	claims.Tctx, _ = copied(a.claims.Tctx).(map[string]any)
	claims.Rctx, _ = copied(a.claims.Rctx).(map[string]any)
	return &claims
}

func copied(value any) any {
	switch value := value.(type) {
	case map[string]any:
		members := make(map[string]any, len(value))
		for name, member := range value {
			members[name] = copied(member)
		}
		return members
	case []any:
		list := make([]any, len(value))
		for i, entry := range value {
			list[i] = copied(entry)
		}
		return list
	}
	return value
}
