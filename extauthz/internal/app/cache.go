package app

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/token"
)

type cacheConfig struct {
	VerifiedTokens verifiedTokens `yaml:"verifiedTokens"`
}

const (
	defaultCacheBytes = 64 * bytesize.MiB
	minCacheBytes     = bytesize.MiB // a generation of the cache holds more than the largest token
	maxCacheBytes     = 64 * bytesize.GiB
	maxCachedTokens   = 10_000_000
)

func defaultCache() cacheConfig {
	return cacheConfig{VerifiedTokens: verifiedTokens{bytes: defaultCacheBytes}}
}

// verifiedTokens bounds the cache of verified tokens. A file gives either of the two.
type verifiedTokens struct {
	bytes   bytesize.Size // 0: no token is cached
	entries int           // 0: any number, within bytes
}

// UnmarshalYAML reads a size such as 64MiB, or a plain number of tokens, which
// bounds them in addition to the default size. 0 turns the cache off.
func (v *verifiedTokens) UnmarshalYAML(node *yaml.Node) error {
	*v = verifiedTokens{bytes: defaultCacheBytes}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!int" {
		if err := node.Decode(&v.entries); err != nil {
			return err
		}
		if v.entries == 0 {
			v.bytes = 0
		}
		return nil
	}
	if err := node.Decode(&v.bytes); err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: cache.verifiedTokens: write a size such as 64MiB, a number of tokens, or 0 for none", node.Line)}}
	}
	return nil
}

func (c cacheConfig) check(file *strictyaml.Checker) {
	at := strictyaml.Path{"cache", "verifiedTokens"}
	switch v := c.VerifiedTokens; {
	case v.entries < 0 || v.entries > maxCachedTokens:
		file.Reject(at, "want 0 (none) to %d tokens, or a size such as 64MiB, not %d", maxCachedTokens, v.entries)
	case v != verifiedTokens{} && (v.bytes < minCacheBytes || v.bytes > maxCacheBytes):
		file.Reject(at, "want %s to %s, or 0 for none, not %s", minCacheBytes, maxCacheBytes, v.bytes)
	}
}

// newCache makes the cache that all verifiers of a process share; nil: no token is cached.
func (v verifiedTokens) newCache() *token.Cache {
	if v.bytes == 0 {
		return nil
	}
	return token.NewCache(int64(v.bytes), v.entries)
}
