package policy

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/host"
)

// indexKeys are the values of a rule that the index uses, beside its paths.
type indexKeys struct {
	callers []identity.Pattern // empty: every caller
	hosts   []string           // empty: every host
	claim   string             // must have one of the texts; empty: the rule has no key of this kind
	texts   []string
}

// indexedCondition is a condition that gives its rule keys. A rule without such a
// condition is found by every request to its paths.
type indexedCondition interface{ addKeys(*indexKeys) }

// scopesKey takes the place of a claim's name for a scope. It is no claim: the claim
// scope is one text, which a rule may also ask for as a whole.
const scopesKey = "scopes"

// callerTier is the first of three tiers that divide the rules of one path: by caller, by
// host, and by a claim or scope.
type callerTier struct {
	tier[identity.Pattern, hostTier]
	hasWildcards bool
}

func (t *callerTier) add(c candidate) {
	for _, next := range t.entriesOf(c.keys.callers) {
		next.add(c)
	}
	t.hasWildcards = t.hasWildcards || slices.ContainsFunc(c.keys.callers, isWildcard)
}

func (t *callerTier) find(e *evaluation, found []candidate) []candidate {
	found = t.unkeyed.find(e, found)
	if t.keyed.isEmpty() {
		return found
	}
	if e.request.Caller == "" { // no rule on callers can be decided
		for next := range t.keyed.all() {
			found = next.find(e, found)
		}
		return found
	}
	patterns := e.request.Caller.MatchingPatterns()
	for _, p := range withoutWildcards(patterns[:], t.hasWildcards) {
		if next := t.keyed.find(p); next != nil {
			found = next.find(e, found)
		}
	}
	return found
}

func isWildcard(p identity.Pattern) bool { return p.Literal() == "" }

// withoutWildcards leaves out the patterns that an index without wildcards cannot have. The
// first pattern is the workload's own name.
func withoutWildcards(patterns []identity.Pattern, hasWildcards bool) []identity.Pattern {
	if hasWildcards {
		return patterns
	}
	return patterns[:1]
}

type hostTier struct {
	tier[string, claimTier]
	hasWildcards bool
}

func (t *hostTier) add(c candidate) {
	for _, next := range t.entriesOf(c.keys.hosts) {
		next.add(c)
	}
	for _, pattern := range c.keys.hosts {
		t.hasWildcards = t.hasWildcards || strings.HasPrefix(pattern, host.Wildcard)
	}
}

func (t *hostTier) find(e *evaluation, found []candidate) []candidate {
	found = t.unkeyed.find(e, found)
	if t.keyed.isEmpty() {
		return found
	}
	if next := t.keyed.find(e.host); next != nil {
		found = next.find(e, found)
	}
	for rest := e.host; t.hasWildcards; { // the wildcards that match: one for each label but the first
		_, after, more := strings.Cut(rest, ".")
		if !more {
			break
		}
		if next := t.keyed.find(host.Wildcard + after); next != nil {
			found = next.find(e, found)
		}
		rest = after
	}
	return found
}

// claimTier divides rules by the texts that a claim may have, or by a scope.
type claimTier struct {
	unkeyed []candidate
	keyed   entries[string, claimTexts] // by the claim's name
}

type claimTexts struct {
	path   []string // of the claim
	all    []candidate
	byText entries[string, []candidate]
}

func (t *claimTier) add(c candidate) {
	if c.keys.claim == "" {
		t.unkeyed = append(t.unkeyed, c)
		return
	}
	v := t.keyed.findOrAdd(c.keys.claim)
	if v.path == nil {
		v.path = strings.Split(c.keys.claim, ".")
	}
	v.all = append(v.all, c)
	for _, text := range c.keys.texts {
		rules := v.byText.findOrAdd(text)
		*rules = append(*rules, c)
	}
}

func (t *claimTier) find(e *evaluation, found []candidate) []candidate {
	found = append(found, t.unkeyed...)
	for v := range t.keyed.all() {
		texts, certain := e.claimTexts(v.path)
		if !certain { // no rule on this claim can be decided
			found = append(found, v.all...)
			continue
		}
		for _, text := range texts {
			if rules := v.byText.find(text); rules != nil {
				found = append(found, *rules...)
			}
		}
	}
	return found
}

// claimTexts gives the texts of a claim, or the scopes. They are not certain if the claim
// is missing, or has a value that is no text. They are valid until the next call.
func (e *evaluation) claimTexts(claim []string) (texts []string, certain bool) {
	if claim[0] == scopesKey {
		return e.scopes, e.claims != nil
	}
	value, _ := e.claims.Lookup(claim...)
	if text, isText := value.(string); isText {
		return append(e.roomForText[:0], text), true
	}
	list, isList := value.([]any)
	for _, entry := range list {
		text, isText := entry.(string)
		if !isText {
			return nil, false
		}
		texts = append(texts, text)
	}
	return texts, isList
}

// tier divides rules by keys of one kind. Rules without such a key are kept apart.
type tier[K comparable, Next any] struct {
	unkeyed Next
	keyed   entries[K, Next]
}

// entriesOf gives the places of a rule that has these keys.
func (t *tier[K, Next]) entriesOf(keys []K) []*Next {
	if len(keys) == 0 {
		return []*Next{&t.unkeyed}
	}
	all := make([]*Next, len(keys))
	for i, key := range keys {
		all[i] = t.keyed.findOrAdd(key)
	}
	return all
}
