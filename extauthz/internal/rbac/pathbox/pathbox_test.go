package pathbox_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/pathbox"
	"github.com/meshpass/meshpass/shared/policy/path"
)

func TestExpressions(t *testing.T) {
	rows := []struct {
		all, others []string
		prefix      string
		want        []string
	}{
		{[]string{"/items/{id}"}, nil, "/", []string{"items/(?:[^/]+)"}},
		{[]string{"/items/**"}, nil, "/", []string{"items/.*"}},
		{[]string{"/**"}, nil, "/v1/", []string{".*"}},
		{[]string{"/{x}/a"}, nil, "/v1/", []string{"a"}},
		{[]string{"/v2/a"}, nil, "/v1/", nil},
		{[]string{"/{x}"}, []string{"/me"}, "/", []string{"(?:[^/m][^/]*|m(?:[^/e][^/]*|e[^/]+)?)"}},
		{[]string{"/a/**"}, []string{"/a/**"}, "/", nil},
		{[]string{"/a/**"}, []string{"/a/b/**"}, "/", []string{"a/(?:[^/]*)", "a/(?:[^/b][^/]*|b[^/]+)/.*"}},
		{[]string{"/$x.y"}, nil, "/", []string{`\$x\.y`}},
		{[]string{"/{x}"}, []string{"/]"}, "/", []string{`(?:[^/\]][^/]*|\][^/]+)`}},
	}
	for _, row := range rows {
		var got []string
		for _, b := range pathbox.Subtract(boxes(t, row.all), boxes(t, row.others)) {
			if rest, some := b.Behind(row.prefix); some {
				got = append(got, rest.Expression())
			}
		}
		if strings.Join(got, "  ") != strings.Join(row.want, "  ") {
			t.Errorf("%v without %v behind %s: got %q, want %q", row.all, row.others, row.prefix, got, row.want)
		}
	}
}

func boxes(t *testing.T, texts []string) (all []pathbox.Box) {
	for _, text := range texts {
		all = append(all, pathbox.Of(pattern(t, text)))
	}
	return all
}

func pattern(t *testing.T, text string) path.Pattern {
	t.Helper()
	p, err := path.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Random differences have exactly the paths that some pattern matches and no other one does, as boxes and as expressions.
func TestSubtractRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "ab", "b", "{x}", "admin", "a-b]", "é"}
	texts := []string{"a", "ab", "b", "abc", "", "admin", "admi", "a-b]", "é", "z"}
	randomPattern := func() path.Pattern {
		text := ""
		for i := range random.IntN(4) {
			word := words[random.IntN(len(words))]
			if word == "{x}" {
				word = "{x" + string(rune('a'+i)) + "}"
			}
			text += "/" + word
		}
		switch random.IntN(4) {
		case 0:
			text += "/**"
		case 1:
			text += "/"
		}
		if text == "" {
			text = "/"
		}
		return pattern(t, text)
	}
	for range 3000 {
		var allow, deny []path.Pattern
		for range 1 + random.IntN(3) {
			allow = append(allow, randomPattern())
		}
		for range random.IntN(4) {
			deny = append(deny, randomPattern())
		}
		left := pathbox.Subtract(pathbox.OfAll(allow), noneIfEmpty(deny))
		prefix := []string{"/", "/a/", "/a/b/"}[random.IntN(3)]
		for range 50 {
			var segments []string
			n := 1 + random.IntN(5)
			for i := range n {
				text := texts[random.IntN(len(texts))]
				if text == "" && i < n-1 {
					text = "q"
				}
				segments = append(segments, text)
			}
			want := matches(allow, segments) && !matches(deny, segments)
			whole := "/" + strings.Join(segments, "/")
			rest, behind := strings.CutPrefix(whole, prefix)
			got, expressed := false, false
			for _, b := range left {
				got = got || b.Has(segments)
				if r, some := b.Behind(prefix); some {
					expression := r.Expression()
					if strings.Contains(expression, "/*") || strings.ContainsAny(expression, "{}") {
						t.Fatalf("Tyk rewrites %q", expression)
					}
					expressed = expressed || regexp.MustCompile("^"+expression+"$").MatchString(rest)
				}
			}
			if got != want || behind && expressed != want {
				t.Fatalf("%v without %v: %q: got %v, %v (%v), want %v", allow, deny, whole, got, expressed, left, want)
			}
		}
	}
}

func noneIfEmpty(patterns []path.Pattern) []pathbox.Box {
	if len(patterns) == 0 {
		return nil
	}
	return pathbox.OfAll(patterns)
}

func matches(patterns []path.Pattern, segments []string) bool {
	for _, p := range patterns {
		if p.Match(segments) {
			return true
		}
	}
	return false
}
