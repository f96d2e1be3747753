package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/bytesize"
)

// The two forms in which a file bounds the cache, and what is rejected.
func TestTheBoundOfTheCache(t *testing.T) {
	for _, row := range []struct {
		value string
		want  verifiedTokens
		fault string // empty: accepted
	}{
		{"64MiB", verifiedTokens{bytes: 64 * bytesize.MiB}, ""},
		{"1MiB", verifiedTokens{bytes: bytesize.MiB}, ""},
		{"20000", verifiedTokens{bytes: 64 * bytesize.MiB, entries: 20_000}, ""},
		{"0", verifiedTokens{}, ""},
		{"0MiB", verifiedTokens{}, ""},
		{"512KiB", verifiedTokens{bytes: 512 * bytesize.KiB}, "want 1MiB to 64GiB, or 0 for none, not 512KiB"},
		{"65GiB", verifiedTokens{bytes: 65 * bytesize.GiB}, "want 1MiB to 64GiB, or 0 for none, not 65GiB"},
		{`"20000"`, verifiedTokens{bytes: 20_000}, "want 1MiB to 64GiB, or 0 for none, not 20000"},
		{"-1", verifiedTokens{bytes: 64 * bytesize.MiB, entries: -1}, "want 0 (none) to 10000000 tokens, or a size such as 64MiB, not -1"},
		{"10000001", verifiedTokens{bytes: 64 * bytesize.MiB, entries: 10_000_001}, "want 0 (none) to 10000000 tokens, or a size such as 64MiB, not 10000001"},
		{"64MB", verifiedTokens{bytes: 64 * bytesize.MiB}, "cache.verifiedTokens: write a size such as 64MiB, a number of tokens, or 0 for none"},
		{"[64MiB]", verifiedTokens{bytes: 64 * bytesize.MiB}, "cache.verifiedTokens: write a size"},
		{"1.5", verifiedTokens{bytes: 64 * bytesize.MiB}, "cache.verifiedTokens: write a size"},
	} {
		t.Run(row.value, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "meshpass.yaml")
			if err := os.WriteFile(file, []byte("cache: {verifiedTokens: "+row.value+"}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			f := mustReadConfig(t, file)
			f.config.Cache.check(f.check)
			got := ""
			if err := f.check.Err(); err != nil {
				got = err.Error()
			}
			if f.config.Cache.VerifiedTokens != row.want || !strings.Contains(got, row.fault) || (got == "") != (row.fault == "") {
				t.Errorf("got %+v, %q", f.config.Cache.VerifiedTokens, got)
			}
			if cache := row.want.newCache(); row.fault == "" && (cache == nil) != (row.want == verifiedTokens{}) {
				t.Errorf("cache: %v", cache)
			}
		})
	}
	if got := mustReadConfig(t, "testdata/minimal.yaml").config.Cache.VerifiedTokens; got != (verifiedTokens{bytes: 64 * bytesize.MiB}) {
		t.Errorf("default: %+v", got)
	}
}
