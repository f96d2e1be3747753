package token

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Cache remembers tokens whose signature was verified, so that a token that comes again costs no
// signature. All other rules are applied each time. It remembers no invalid tokens: a forger
// takes no room.
//
// A cache may be handed to the verifier of each new trust snapshot. Its limits then hold
// for all verifiers together. It serves the newest verifier that has stored a token in
// it. Tokens of an older verifier are dropped, and an older verifier works without it.
//
// Of a token, its hash is stored. Two generations bound the number of hashes: new ones, and those
// that are found again, are stored in the younger generation. When that holds half of a
// limit, the older generation is dropped as a whole and the younger one takes its place.
//
// A request asks about its token at each hop within milliseconds. The claims of the tokens that
// came last are therefore kept too, for [Verifier.VerifyShared].
type Cache struct {
	lastVerifier atomic.Uint64 // number of the newest view
	shards       []cacheShard  // by the first byte of the hash
	recent       []atomic.Pointer[recentToken]
}

// cacheKey is a hash, so that a core dump of the cache gives away no bearer, and long
// tokens take no more memory than short ones.
type cacheKey [sha256.Size]byte

// hashToken does not copy the token: it only reads the bytes.
func hashToken(raw string) cacheKey {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(raw), len(raw)))
}

// cacheShard is a part of the hashes, with a lock of its own.
type cacheShard struct {
	mu             sync.RWMutex
	most           int    // entries of one generation
	verifier       uint64 // number of the view whose tokens these are
	younger, older map[cacheKey]struct{}
}

// recentToken is a token that came lately. It never changes.
type recentToken struct {
	key      cacheKey
	verifier uint64
	token    verifiedToken
}

const (
	// entryBytes is the most memory that a hash takes, as TestTheCacheTakesNoMoreThanItsBytes measures it: 33 bytes of
	// a table that is at least seven sixteenths full.
	entryBytes = 80

	// A token that is longer than maxRecent is not among the recent ones, whose claims take recentBytes at most.
	maxRecent   = 2048
	recentBytes = 16 << 10
	recentPart  = 8   // the part of the memory that recent tokens may take
	mostRecent  = 512 // tokens

	// A shard has minShard entries or more in a generation, so that tokens are spread evenly enough.
	minShard   = 256
	mostShards = 16
)

// NewCache returns a cache that takes at most maxBytes of memory and, if maxEntries is
// not 0, holds at most so many tokens.
func NewCache(maxBytes int64, maxEntries int) *Cache {
	recent := min(maxBytes/recentPart/recentBytes, mostRecent)
	most := (maxBytes - recent*recentBytes) / entryBytes / 2
	if maxEntries > 0 {
		most = min(most, int64(maxEntries+1)/2)
	}
	c := &Cache{recent: make([]atomic.Pointer[recentToken], recent)}
	c.shards = make([]cacheShard, max(1, min(most/minShard, mostShards)))
	for i := range c.shards {
		c.shards[i].most = int(most) / len(c.shards)
	}
	return c
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

func (c *Cache) shardOf(key cacheKey) *cacheShard { return &c.shards[int(key[0])%len(c.shards)] }

// isKnown reports whether the signature of the token was verified. A token of the older generation moves to the younger one.
func (v cacheView) isKnown(key cacheKey) bool {
	if v.cache == nil {
		return false
	}
	s := v.cache.shardOf(key)
	s.mu.RLock()
	own := s.verifier == v.verifier
	_, younger := s.younger[key]
	_, older := s.older[key]
	s.mu.RUnlock()
	if own && older && !younger {
		v.store(key)
	}
	return own && (younger || older)
}

func (v cacheView) store(key cacheKey) {
	if v.cache == nil {
		return
	}
	s := v.cache.shardOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.verifier < s.verifier || s.most == 0 {
		return
	}
	if v.verifier > s.verifier {
		s.verifier, s.younger, s.older = v.verifier, nil, nil
	}
	if _, known := s.younger[key]; known {
		return
	}
	if len(s.younger) >= s.most {
		s.younger, s.older = nil, s.younger
	}
	if s.younger == nil {
		s.younger = map[cacheKey]struct{}{}
	}
	s.younger[key] = struct{}{}
}

// slotOf is the only place of a recent token; nil: no token is kept.
func (v cacheView) slotOf(key cacheKey) *atomic.Pointer[recentToken] {
	if v.cache == nil || len(v.cache.recent) == 0 {
		return nil
	}
	return &v.cache.recent[(int(key[1])<<8|int(key[2]))%len(v.cache.recent)]
}

// findRecent gives a token that came lately; nil: it did not. Its claims are shared.
func (v cacheView) findRecent(key cacheKey) *recentToken {
	slot := v.slotOf(key)
	if slot == nil {
		return nil
	}
	if found := slot.Load(); found != nil && found.key == key && found.verifier == v.verifier {
		return found
	}
	return nil
}

// keepRecent keeps a token whose claims no caller changes.
func (v cacheView) keepRecent(raw string, key cacheKey, t verifiedToken) {
	if slot := v.slotOf(key); slot != nil && len(raw) <= maxRecent {
		slot.Store(&recentToken{key: key, verifier: v.verifier, token: t})
	}
}
