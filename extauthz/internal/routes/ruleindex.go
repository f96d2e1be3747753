package routes

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// pathOwners has the rules of a table by their paths, without patterns.
type pathOwners map[tykroute.PathMatch][]numberedCondition

type numberedCondition struct {
	number    int // of the rule
	condition *tykroute.Condition
}

func newPathOwners(rules []tykroute.Rule) pathOwners {
	o := pathOwners{}
	for i, rule := range rules {
		o.add(i, rule)
	}
	return o
}

func (o pathOwners) add(number int, rule tykroute.Rule) {
	key := tykroute.PathMatch{Exact: rule.Path.Exact, Prefix: rule.Path.Prefix}
	if rule.Path.Pattern == "" {
		o[key] = append(o[key], numberedCondition{number, rule.Condition})
	}
}

// isShielded reports that a rule before a later one, which has a number, takes its path for the requests of the first one.
func (o pathOwners) isShielded(number int, first, later tykroute.Rule) bool {
	return later.Path.Pattern == "" && slices.ContainsFunc(o[tykroute.PathMatch{Exact: later.Path.Exact, Prefix: later.Path.Prefix}], func(n numberedCondition) bool {
		return n.number < number && (n.condition == nil || first.Condition != nil && *n.condition == *first.Condition)
	})
}

// overlapIndex finds the rules whose paths can be those of another one.
type overlapIndex struct {
	texts  []string         // that paths begin with, in order
	byText map[string][]int // rules
}

func newOverlapIndex(count int, literal func(int) string) overlapIndex {
	x := overlapIndex{byText: map[string][]int{}}
	for i := range count {
		text := literal(i)
		if x.byText[text] == nil {
			x.texts = append(x.texts, text)
		}
		x.byText[text] = append(x.byText[text], i)
	}
	slices.Sort(x.texts)
	return x
}

// visit calls a function for the rules that may overlap a path, until it reports false.
func (x overlapIndex) visit(p tykroute.PathMatch, call func(number int) bool) {
	text := p.Literal()
	for length := range len(text) {
		if slices.ContainsFunc(x.byText[text[:length]], func(i int) bool { return !call(i) }) {
			return
		}
	}
	at, _ := slices.BinarySearch(x.texts, text)
	for _, longer := range x.texts[at:] {
		if !strings.HasPrefix(longer, text) || p.Exact != "" && longer != text || slices.ContainsFunc(x.byText[longer], func(i int) bool { return !call(i) }) {
			return
		}
	}
}

// repeatIndex finds exact paths that the next prefix for them treats in the same way.
type repeatIndex struct {
	rules           []tykroute.Rule
	exact, prefixes map[string][]int
	nextPattern     []int // by rule: the next one with a pattern
}

func newRepeatIndex(rules []tykroute.Rule) repeatIndex {
	x := repeatIndex{rules: rules, exact: map[string][]int{}, prefixes: map[string][]int{}, nextPattern: make([]int, len(rules))}
	pattern := len(rules)
	for i, rule := range slices.Backward(rules) {
		if x.nextPattern[i] = pattern; rule.Path.Pattern != "" {
			pattern = i
		}
	}
	for i, rule := range rules {
		if rule.Path.Exact != "" {
			x.exact[rule.Path.Exact] = append(x.exact[rule.Path.Exact], i)
		} else if rule.Path.Prefix != "" {
			x.prefixes[rule.Path.Prefix] = append(x.prefixes[rule.Path.Prefix], i)
		}
	}
	return x
}

// isRepeated reports whether the next rule for an exact path is a prefix of the same API with the same effect.
func (x repeatIndex) isRepeated(number int) bool {
	rule := x.rules[number]
	path := rule.Path.Exact
	if path == "" {
		return false
	}
	at := min(x.nextPattern[number], firstAfter(x.exact[path], number, len(x.rules)))
	for length := range len(path) + 1 {
		at = min(at, firstAfter(x.prefixes[path[:length]], number, len(x.rules)))
	}
	if at == len(x.rules) || x.rules[at].Path.Prefix != path {
		return false
	}
	next := x.rules[at]
	same := next.API == rule.API && next.Serving == rule.Serving && next.Condition == rule.Condition && len(next.Destinations) == len(rule.Destinations)
	return same && (len(rule.Destinations) == 0 || next.Rewrites == rule.Rewrites && next.Path.Becomes == rule.Path.Becomes)
}

// firstAfter is the first of ascending numbers that is greater than one of them, or a default.
func firstAfter(numbers []int, number, byDefault int) int {
	if at, _ := slices.BinarySearch(numbers, number+1); at < len(numbers) {
		return numbers[at]
	}
	return byDefault
}
