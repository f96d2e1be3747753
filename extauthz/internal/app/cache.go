package app

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/token"
)

type cacheConfig struct {
	VerifiedTokens rememberedTokens `yaml:"verifiedTokens"`
}

const (
	defaultCacheBytes = 64 * bytesize.MiB
	minCacheBytes     = bytesize.MiB // a generation holds more than the largest token
	maxCacheBytes     = 64 * bytesize.GiB
	maxCachedTokens   = 10_000_000
)

// rememberedTokens bounds the cache of verified tokens. A file writes either of the two.
type rememberedTokens struct {
	bytes   bytesize.Size // 0: none are remembered
	entries int           // 0: any number, within bytes
}

// UnmarshalYAML reads a size such as 64MiB, or a plain number of tokens, which
// bounds them besides the default size. 0 is none.
func (r *rememberedTokens) UnmarshalYAML(node *yaml.Node) error {
	*r = rememberedTokens{bytes: defaultCacheBytes}
	if node.Kind == yaml.ScalarNode && node.Tag == "!!int" {
		if err := node.Decode(&r.entries); err != nil {
			return err
		}
		if r.entries == 0 {
			r.bytes = 0
		}
		return nil
	}
	if err := node.Decode(&r.bytes); err != nil {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: cache.verifiedTokens: write a size such as 64MiB, a number of tokens, or 0 for none", node.Line)}}
	}
	return nil
}

func (l *loader) checkCache() {
	switch r := l.config.Cache.VerifiedTokens; {
	case r.entries < 0 || r.entries > maxCachedTokens:
		l.check.Reject(strictyaml.Path{"cache", "verifiedTokens"}, "want 0 (none) to %d tokens, or a size such as 64MiB, not %d", maxCachedTokens, r.entries)
	case r != rememberedTokens{} && (r.bytes < minCacheBytes || r.bytes > maxCacheBytes):
		l.check.Reject(strictyaml.Path{"cache", "verifiedTokens"}, "want %s to %s, or 0 for none, not %s", minCacheBytes, maxCacheBytes, r.bytes)
	}
}

// cache is what the verifiers of this configuration share; nil: none.
func (r rememberedTokens) cache() *token.Cache {
	if r.bytes == 0 {
		return nil
	}
	return token.NewCache(int64(r.bytes), r.entries)
}
