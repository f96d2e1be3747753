package tykroute_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// A request is compared with few of many listen paths.
func TestRouteAsksFewEntries(t *testing.T) {
	texts := []string{bareGateway}
	for i := range 300 {
		id := fmt.Sprintf("api-%03d", i)
		path := []string{"/load/{tenant}/" + id + "/", "/load/" + id + "/", "/" + id + "-x"}[i%3]
		texts = append(texts, classic(id, `"listen_path": "`+path+`", "target_url": "http://`+id+`"`, ""))
	}
	r := readRouter(t, texts...)
	for path, want := range map[string][]string{
		"/load/acme/api-003/x": {"/load/{tenant}/api-003/"}, "/load/api-004/x": {"/load/api-004/"}, "/api-005-xyz": {"/api-005-x"}, "/api-006/load": {"/api-006/"}, "/load": nil,
	} {
		if got := r.Candidates("any", path); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// Of many APIs with domains, a request is compared with those of its own host, and with those for every host.
func TestRouteAsksEntriesOfTheHost(t *testing.T) {
	texts := []string{`{"listen_port": 8080, "secret": "x", "app_path": "apps", "enable_custom_domains": true}`, classic("every", `"listen_path": "/shop/every/", "target_url": "http://every"`, ""),
		classic("pattern", `"listen_path": "/shop/pattern/", "target_url": "http://pattern"`, `"domain": "{name:[a-z0-9]+}.example"`)}
	for i := range 300 {
		id := fmt.Sprintf("api-%03d", i)
		texts = append(texts, classic(id, `"listen_path": "/shop/", "target_url": "http://`+id+`"`, `"domain": "D`+fmt.Sprint(i)+`.example"`))
	}
	r := readRouter(t, texts...)
	for _, test := range []struct {
		host, path string
		want       []string
	}{
		{"d7.example", "/shop/x", []string{"/shop/"}}, {"D7.EXAMPLE:8080", "/shop/x", []string{"/shop/"}}, {"d7.example", "/shop/every/x", []string{"/shop/", "/shop/every/"}},
		{"other.example", "/shop/every/x", []string{"/shop/every/"}}, {"other.example", "/shop/pattern/x", []string{"/shop/pattern/"}}, {"[::1]:80", "/shop/x", nil},
	} {
		if got := r.Candidates(test.host, test.path); !slices.Equal(got, test.want) {
			t.Errorf("%s%s: %q, want %q", test.host, test.path, got, test.want)
		}
	}
}

// Listen paths of one rank are refused if one path may be of both.
func TestTablesOfEqualRanks(t *testing.T) {
	for _, test := range []struct {
		first, second string
		refused       bool
	}{
		{"/t/{a}/x/", "/t/{b}/y/", false},
		{"/t/{a}/x/", "/t/{b}/x/", true},
		{"/t/{a}/x/", "/t/x/{b}/", true},
		{"/t/{a}/x/", "/u/{a}/x/", false},
		{"/t/{a:.+}/x/", "/t/{b}/y/", true},
		{"/t/{a:[a-z]{2}}/x/", "/t/{b}/y/", true},
		{"/t/{a}/x/", "/t/ab/", true},
		{"/t/{a}/x/", "/t/abc", true},
		{"/t/{a}/x", "/t/{b}/y", false},
		{"/t/a{b}/x/", "/t/c{d}/x/", true}, // the texts around parameters are not compared
	} {
		r := readRouter(t, bareGateway, classic("first", `"listen_path": "`+test.first+`", "target_url": "http://a"`, ""), classic("second", `"listen_path": "`+test.second+`", "target_url": "http://b"`, ""))
		_, mappings := r.Tables()
		for _, m := range mappings {
			if (m.State == tykroute.Refused) != test.refused {
				t.Errorf("%s and %s: API %s is %s: %s", test.first, test.second, m.API.ID, m.State, m.Reason)
			}
		}
	}
}

// removeUnreachable compares each rule with each other one.
func removeUnreachable(rules []tykroute.Rule) (kept []tykroute.Rule) {
	for i, rule := range rules {
		covered := slices.ContainsFunc(kept, func(before tykroute.Rule) bool { return before.Condition == nil && covers(before.Path, rule.Path) })
		needed := len(rule.Destinations) > 0 || slices.ContainsFunc(rules[i+1:], func(after tykroute.Rule) bool { return len(after.Destinations) > 0 && after.Path.MayOverlap(rule.Path) })
		if !covered && needed {
			kept = append(kept, rule)
		}
	}
	return kept
}

func TestRemoveUnreachable(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	removed := 0
	for range 3000 {
		var rules []tykroute.Rule
		for range 1 + random.IntN(10) {
			text := ""
			for range 1 + random.IntN(3) {
				text += []string{"/", "/a", "/b", "a", "/a/"}[random.IntN(5)]
			}
			rule := tykroute.Rule{}
			switch random.IntN(4) {
			case 0:
				rule.Path.Pattern = text + "[^/]+/b"
			case 1:
				rule.Path.Exact = text
			default:
				rule.Path.Prefix = text
			}
			if random.IntN(2) > 0 {
				rule.Destinations = []tykroute.Destination{{}}
			}
			if random.IntN(3) == 0 {
				rule.Condition = &tykroute.Condition{Header: "X"}
			}
			rules = append(rules, rule)
		}
		want := removeUnreachable(rules)
		if got := tykroute.RemoveUnreachable(rules); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\ngot  %+v\nwant %+v", rules, got, want)
		}
		cut := random.IntN(len(rules) + 1)
		if got := tykroute.NewWhole(rules[:cut], rules[cut:]); len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\ncut at %d\ngot  %+v\nwant %+v", rules, cut, got, want)
		}
		removed += len(rules) - len(want)
	}
	if removed < 1000 {
		t.Errorf("only %d rules were removed", removed)
	}
}

// covers reports whether every path of a condition is one of another condition.
func covers(p, other tykroute.PathMatch) bool {
	switch {
	case p.Prefix != "":
		return strings.HasPrefix(other.Exact, p.Prefix) || strings.HasPrefix(other.Prefix, p.Prefix)
	case p.Exact != "":
		return p.Exact == other.Exact
	}
	return p.Pattern == other.Pattern
}
