package pathset_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/pathset"
)

func TestExplore(t *testing.T) {
	rows := []struct {
		name     string
		operands []pathset.Operand
		want     map[string]string // members as 0 and 1, and the example
	}{
		{"anchored inside unanchored", []pathset.Operand{{Set: pathset.MustParse("^/a$")}, {Set: pathset.MustParse("/a")}},
			map[string]string{"00": "", "11": "/a", "01": "x/a"}},
		{"nothing", []pathset.Operand{{}, {Set: pathset.MustParse("^$")}}, map[string]string{"01": "", "00": "x"}},
		{"prefixes", []pathset.Operand{{Set: pathset.MustParse("^/orders/items$"), Prefix: "/orders/"}, {Set: pathset.MustParse("^/items$"), Prefix: "/"}},
			map[string]string{"00": "", "11": "items"}},
		{"a union", []pathset.Operand{{Set: pathset.MustParse("^/a$", "^/b$")}, {Set: pathset.MustParse("^/[ab]$")}}, map[string]string{"00": "", "11": "/a"}},
		{"case", []pathset.Operand{{Set: pathset.MustParse("(?i)^k$")}, {Set: pathset.MustParse("^[kK]$")}},
			map[string]string{"00": "", "11": "k", "10": "\u212a"}},
		{"words", []pathset.Operand{{Set: pathset.MustParse(`^/a\b`)}, {Set: pathset.MustParse(`^/a(/|$)`)}},
			map[string]string{"00": "", "11": "/a", "10": "/a-"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			regions, err := pathset.Explore(pathset.Space{Operands: row.operands})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, r := range regions {
				key := ""
				for _, in := range r.Members {
					key += map[bool]string{false: "0", true: "1"}[in]
				}
				got[key] = r.Example
			}
			for key, example := range row.want {
				if text, found := got[key]; !found || text != example {
					t.Errorf("%s: got %q (%v), want %q", key, text, found, example)
				}
			}
			if len(got) != len(row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// Each region that random expressions have is found, its example is in it, and package regexp agrees.
func TestExploreRandom(t *testing.T) {
	parts := []string{"a", "b", "/", "[^/]+", ".*", "(a|b/)", "a?", `\b`, "[a-c]", "x{2}", "(?i)A", "b$", "^/", `\.`, "\n"}
	letters := []rune("abcABx/.\n- é")
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var operands []pathset.Operand
		var patterns []*regexp.Regexp
		for range 2 + random.IntN(2) {
			var text strings.Builder
			for range 1 + random.IntN(4) {
				text.WriteString(parts[random.IntN(len(parts))])
			}
			operands = append(operands, pathset.Operand{Set: pathset.MustParse(text.String())})
			patterns = append(patterns, regexp.MustCompile(text.String()))
		}
		regions, err := pathset.Explore(pathset.Space{Operands: operands})
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]bool{}
		for _, r := range regions {
			key := membersOf(patterns, r.Example)
			for i, in := range r.Members {
				if patterns[i].MatchString(r.Example) != in {
					t.Fatalf("round %d: %v: example %q of %v", round, patterns, r.Example, r.Members)
				}
			}
			known[key] = true
		}
		for range 300 {
			text := make([]rune, random.IntN(7))
			for i := range text {
				text[i] = letters[random.IntN(len(letters))]
			}
			if key := membersOf(patterns, string(text)); !known[key] {
				t.Fatalf("round %d: %v: %q is in no region", round, patterns, string(text))
			}
		}
	}
}

// A beginning that differs from text to text: a pattern may hold for some beginnings only.
func TestExploreBeginnings(t *testing.T) {
	regions, err := pathset.Explore(pathset.Space{Beginning: pathset.MustParse("^/[^/]+/orders/$"), Operands: []pathset.Operand{
		{Set: pathset.MustParse("^/acme/orders/items$"), Beginning: true}, {Set: pathset.MustParse("^/items$"), Prefix: "/"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range regions {
		got = append(got, fmt.Sprint(r.Members, " ", r.Beginning, r.Example))
	}
	want := []string{"[false false] /x/orders/", "[false true] /x/orders/items", "[true true] /acme/orders/items"}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A set that sees only what follows a text, behind some text of another set.
func TestExploreAfter(t *testing.T) {
	regions, err := pathset.Explore(pathset.Space{Operands: []pathset.Operand{
		{Set: pathset.MustParse("^/items")}, {Set: pathset.MustParse("^/acme/orders/items$"), After: "/", Prefix: "/", Within: pathset.MustParse("^[^/]+/orders/$")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range regions {
		got = append(got, fmt.Sprint(r.Members, " ", r.Example))
	}
	want := []string{"[false false] ", "[true false] /itemsx", "[true true] /items"}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func membersOf(patterns []*regexp.Regexp, text string) (key string) {
	for _, p := range patterns {
		key += map[bool]string{false: "0", true: "1"}[p.MatchString(text)]
	}
	return key
}

func TestExploreLimits(t *testing.T) {
	_, err := pathset.Explore(pathset.Space{Operands: []pathset.Operand{{Set: pathset.MustParse("a.{20}b")}}})
	if !errors.Is(err, pathset.ErrTooComplex) {
		t.Errorf("got %v, want ErrTooComplex", err)
	}
	if _, err := pathset.Parse("("); err == nil {
		t.Error("an invalid expression has no error")
	}
}
