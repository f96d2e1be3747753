package token

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	gocache "github.com/patrickmn/go-cache"
)

// Cache keeps verified tokens, so that a token that comes again need not be verified
// again. It keeps no invalid tokens: a forger takes no room. Time and revocations are
// checked each time a token is found in it.
//
// A cache may be handed to the verifier of each new trust snapshot. Its limits then hold
// for all verifiers together. It serves the newest verifier that has stored a token in
// it. Tokens of an older verifier are dropped, and an older verifier works without it.
//
// The library's cache is unbounded. Here two generations bound it. New tokens, and those
// that are found again, are stored in the younger generation. When that holds half of a
// limit, the older generation is dropped as a whole and the younger one takes its place.
// The library's expiry is not used: it reads the wall clock, and each issuer has its own
// leeway.
type Cache struct {
	maxBytes     int64         // of one generation
	maxEntries   int           // of one generation; 0: any number
	lastVerifier atomic.Uint64 // number of the newest view

	mu             sync.RWMutex
	verifier       uint64 // number of the view whose tokens these are
	younger, older generation
}

type generation struct {
	tokens *gocache.Cache // packed tokens by cacheKey
	bytes  int64
}

func newGeneration() generation {
	return generation{tokens: gocache.New(gocache.NoExpiration, 0)}
}

// NewCache returns a cache that takes at most maxBytes of memory and, if maxEntries is
// not 0, holds at most so many tokens.
func NewCache(maxBytes int64, maxEntries int) *Cache {
	return &Cache{maxBytes: maxBytes / 2, maxEntries: (maxEntries + 1) / 2, younger: newGeneration(), older: newGeneration()}
}

// cacheView is the cache as one verifier uses it. The zero value stores nothing.
type cacheView struct {
	cache    *Cache
	verifier uint64 // larger for a newer verifier
}

func newCacheView(c *Cache) cacheView {
	if c == nil {
		return cacheView{}
	}
	return cacheView{cache: c, verifier: c.lastVerifier.Add(1)}
}

// lookup ignores texts that are longer than any token, because it comes before all rules.
func (v cacheView) lookup(raw string) (packed string, hit bool) {
	if v.cache == nil || len(raw) > MaxBytes {
		return "", false
	}
	key := cacheKey(raw)
	younger, older, own := v.generations()
	if !own {
		return "", false
	}
	if found, ok := younger.tokens.Get(key); ok {
		return found.(string), true
	}
	found, ok := older.tokens.Get(key)
	if !ok {
		return "", false
	}
	packed = found.(string)
	v.storePacked(key, packed)
	return packed, true
}

func (v cacheView) store(raw string, t verifiedToken) {
	if v.cache != nil {
		v.storePacked(cacheKey(raw), t.pack())
	}
}

// cacheKey is a hash, so that a core dump of the cache gives away no bearer, and long
// tokens take no more memory than short ones.
func cacheKey(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return string(sum[:])
}

// generations returns both, and whether they hold tokens of this verifier.
func (v cacheView) generations() (younger, older generation, own bool) {
	v.cache.mu.RLock()
	defer v.cache.mu.RUnlock()
	return v.cache.younger, v.cache.older, v.cache.verifier == v.verifier
}

func (v cacheView) storePacked(key, packed string) {
	c := v.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.verifier < c.verifier {
		return
	}
	if v.verifier > c.verifier {
		c.verifier, c.younger, c.older = v.verifier, newGeneration(), newGeneration()
	}
	if _, known := c.younger.tokens.Get(key); known {
		return
	}
	size := entryBytes(packed)
	if size > c.maxBytes {
		return
	}
	if c.younger.bytes+size > c.maxBytes || c.maxEntries > 0 && c.younger.tokens.ItemCount() >= c.maxEntries {
		c.younger, c.older = newGeneration(), c.younger
	}
	c.younger.bytes += size
	c.younger.tokens.Set(key, packed, gocache.NoExpiration)
}

// entryBytes is the most memory that an entry takes, as TestTheCacheTakesNoMoreThanItsBytes
// measures it: the packed token in a block of Go's allocator, which may be a fifth
// larger, the 32 bytes of the key, the text's header of 16 bytes, and 41 bytes of
// a table that is at least seven sixteenths full.
func entryBytes(packed string) int64 { return int64(len(packed))*6/5 + 160 }
