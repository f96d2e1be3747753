package expr

import (
	"regexp/syntax"
	"testing"
)

// The size that bounds matches is never less than that of the program which the library
// runs, and not far above it.
func TestTheSizeOfAPattern(t *testing.T) {
	for _, pattern := range []string{
		``, `a`, `^abc$`, `(?i)abc`, `[a-z]+`, `a*b?c+`, `(a|b|cd)`, `a{3}`, `a{0,250}`, `a{2,}`, `a{0}`, `(ab{2}){3,5}`, `((a{3}){4}){5}`,
		`(?i)(scan|crawl|bot).{0,250}(probe|fuzz|sql).{0,250}$`, `(.{0,30}){30}x`, `\pL{1,500}`, `(?:)`, `(?s).*\b\w+\z`, `[^\x00-\x{10FFFF}]`, `日本{2}`,
	} {
		size, err := measureRegex(pattern)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if n := len(program.Inst); size+2 < n || size > n+n/4+4 { // two more begin and end every program
			t.Errorf("%s: %d, the program has %d instructions", pattern, size, n)
		}
	}
}
