package pathindex_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/pathindex"
)

func TestFind(t *testing.T) {
	var x pathindex.Index
	for i, prefix := range []string{"/orders/", "/orders", "/orders/1/x", "/", ""} {
		x.AddPrefix(prefix, i)
	}
	for i, pattern := range []string{`^/orders/(?P<v0>[^/]+)/x`, `/t/(?:[^/%]|%(?:[013-9A-Fa-f][0-9A-Fa-f]|2[0-9A-Ea-e]))+/a/.*`, `/a|/b`, `(?i)/orders/x`, `/ord[a-z]+/7`, `.*/end`, `/s/a?/b`, `/broken[`} {
		x.AddPattern(pattern, 10+i)
	}
	for path, want := range map[string][]int{
		"/orders/1/x":  {0, 1, 2, 3, 4, 10, 12, 13, 15, 17},
		"/orders/1/y":  {0, 1, 3, 4, 12, 13, 15, 17},
		"/ordersfoo":   {1, 3, 4, 12, 15, 17},
		"/t/7/a/":      {3, 4, 11, 12, 13, 14, 15, 17},
		"/ORDERS/x":    {3, 4, 12, 13, 15, 17},
		"/ordinary/77": {3, 4, 12, 13, 14, 15, 17},
		"/s//b":        {3, 4, 12, 13, 15, 16, 17},
		"x":            {4, 15, 17},
	} {
		if got := x.Find(path); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

// Each condition that a path meets is found.
func TestFindMissesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(parts ...string) string { return parts[random.IntN(len(parts))] }
	for range 300 {
		var x pathindex.Index
		var conditions []*regexp.Regexp
		for i := range 12 {
			text := ""
			for range random.IntN(4) {
				text += pick("/", "/a", "/b", "a", "/a/", "/ab")
			}
			if random.IntN(2) == 0 {
				x.AddPrefix(text, i)
				conditions = append(conditions, regexp.MustCompile("^"+regexp.QuoteMeta(text)))
				continue
			}
			for range random.IntN(3) {
				text += pick("[^/]+", "[^/]*/b", "(a|b)", "(?:/a)?", ".*", "/[ab]+/", "(?i:A)", `\/b`, "(/a|b)", "a{1,2}", "$", "[^b]")
			}
			x.AddPattern(text, i)
			conditions = append(conditions, regexp.MustCompile("^(?:"+text+")"))
		}
		for range 40 {
			path := ""
			for range random.IntN(6) {
				path += pick("/", "a", "b", "/a", "/b", "ab", "A")
			}
			found := x.Find(path)
			for i, condition := range conditions {
				if condition.MatchString(path) && !slices.Contains(found, i) {
					t.Fatalf("%q meets %s, and Find gives %v", path, condition, found)
				}
			}
		}
	}
}

// The number of conditions that are given does not grow with those that cannot be met.
func TestFindGivesFew(t *testing.T) {
	var x pathindex.Index
	for i := range 2000 {
		name := fmt.Sprintf("api-%04d", i)
		x.AddPrefix("/load/"+name+"/", 4*i)
		x.AddPrefix("/load/"+name, 4*i+1)
		x.AddPattern(`^/load/(?P<v0>[^/]+)/`+name+`/`, 4*i+2)
		x.AddPattern(`/load/(?:[^/%]|%41)+/`+name+`/.*`, 4*i+3)
	}
	if got, want := x.Find("/load/api-0007/7"), []int{28, 29}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := x.Find("/load/acme/api-0007/7"), []int{30, 31}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := x.Find("/load/" + strings.Repeat("x", 20) + "/"); len(got) > 0 {
		t.Errorf("got %v", got)
	}
}
