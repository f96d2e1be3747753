package token

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	gocache "github.com/patrickmn/go-cache"
)

// Cache remembers accepted tokens, and nothing of others: what a forger sends
// takes no room. It may be handed to the verifier of each new snapshot of trust:
// its bounds then hold for all of them together. It serves the newest of them that
// was asked; what an older one accepted is dropped, and an older one verifies
// without it.
//
// The library's cache is unbounded. So there are two generations, the younger of
// which takes what is new or was asked for again. When it holds half of a bound,
// the older one is dropped as a whole and the younger one takes its place. The
// library's own expiry is not used: it asks the wall clock, and a token's leeway is
// for its issuer to say.
type Cache struct {
	bytes    int64 // of one generation
	entries  int   // of one generation; 0: any number
	attached atomic.Uint64

	mu             sync.RWMutex
	verifier       uint64 // whose tokens these are
	younger, older generation
}

type generation struct {
	*gocache.Cache
	bytes int64
}

func newGeneration() generation {
	return generation{Cache: gocache.New(gocache.NoExpiration, 0)}
}

// NewCache makes a cache that takes at most so many bytes of memory, and, if
// entries is not 0, remembers at most so many tokens.
func NewCache(bytes int64, entries int) *Cache {
	return &Cache{bytes: bytes / 2, entries: (entries + 1) / 2, younger: newGeneration(), older: newGeneration()}
}

// footprint is the most memory that an entry takes, as TestTheCacheTakesNoMoreThanItsBytes
// measures it: the packed token in a block of Go's allocator, which may be a fifth
// larger, the 32 bytes of the key, the text's header of 16 bytes, and 41 bytes of
// a table that is at least seven sixteenths full.
func footprint(packed string) int64 { return int64(len(packed))*6/5 + 160 }

// view is the cache as one verifier uses it; the zero value remembers nothing.
type view struct {
	cache    *Cache
	verifier uint64 // larger for a newer one
}

func viewOf(c *Cache) view {
	if c == nil {
		return view{}
	}
	return view{cache: c, verifier: c.attached.Add(1)}
}

// cacheKey is a hash, so that the cache holds no bearer that a core dump could
// give away, and its memory does not grow with the tokens' length.
func cacheKey(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return string(sum[:])
}

// get passes over what is longer than any token, as no rule has looked at it yet.
func (v view) get(raw string) (packed string, hit bool) {
	if v.cache == nil || len(raw) > MaxBytes {
		return "", false
	}
	key := cacheKey(raw)
	younger, older, own := v.generations()
	if !own {
		return "", false
	}
	if found, ok := younger.Get(key); ok {
		return found.(string), true
	}
	found, ok := older.Get(key)
	if !ok {
		return "", false
	}
	packed = found.(string)
	v.keep(key, packed)
	return packed, true
}

func (v view) generations() (younger, older generation, own bool) {
	v.cache.mu.RLock()
	defer v.cache.mu.RUnlock()
	return v.cache.younger, v.cache.older, v.cache.verifier == v.verifier
}

func (v view) put(raw string, a accepted) {
	if v.cache != nil {
		v.keep(cacheKey(raw), a.pack())
	}
}

func (v view) keep(key, packed string) {
	c := v.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.verifier < c.verifier {
		return
	}
	if v.verifier > c.verifier {
		c.verifier, c.younger, c.older = v.verifier, newGeneration(), newGeneration()
	}
	if _, known := c.younger.Get(key); known {
		return
	}
	size := footprint(packed)
	if size > c.bytes {
		return
	}
	if c.younger.bytes+size > c.bytes || c.entries > 0 && c.younger.ItemCount() >= c.entries {
		c.younger, c.older = newGeneration(), c.younger
	}
	c.younger.bytes += size
	c.younger.Set(key, packed, gocache.NoExpiration)
}
