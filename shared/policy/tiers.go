package policy

import (
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// byCaller is the first of three tiers that tell apart the rules of one path. Each
// keeps aside the rules that do not ask what the tier asks.
type byCaller struct {
	any   byHost
	named map[identity.Pattern]*byHost
}

func (t *byCaller) add(e entry) {
	if len(e.callers) == 0 {
		t.any.add(e)
	}
	for _, p := range e.callers {
		child(&t.named, p).add(e)
	}
}

func (t *byCaller) find(s *subject, found []entry) []entry {
	found = t.any.find(s, found)
	if t.named == nil {
		return found
	}
	if s.Caller == "" { // no rule on callers can be decided
		for _, next := range t.named {
			found = next.find(s, found)
		}
		return found
	}
	for _, p := range s.Caller.MatchingPatterns() {
		if next := t.named[p]; next != nil {
			found = next.find(s, found)
		}
	}
	return found
}

type byHost struct {
	any   byFact
	named map[string]*byFact
	below bool // one of them is a wildcard
}

func (t *byHost) add(e entry) {
	if len(e.hosts) == 0 {
		t.any.add(e)
	}
	for _, host := range e.hosts {
		child(&t.named, host).add(e)
		t.below = t.below || strings.HasPrefix(host, wildcard)
	}
}

func (t *byHost) find(s *subject, found []entry) []entry {
	found = t.any.find(s, found)
	if t.named == nil {
		return found
	}
	if next := t.named[s.host]; next != nil {
		found = next.find(s, found)
	}
	for rest := s.host; t.below; { // the wildcards that match: one for each label but the first
		_, after, more := strings.Cut(rest, ".")
		if !more {
			break
		}
		if next := t.named[wildcard+after]; next != nil {
			found = next.find(s, found)
		}
		rest = after
	}
	return found
}

// byFact tells rules apart by the texts that one claim must have, or by a scope.
type byFact struct {
	any   []entry
	named map[string]*values // by the claim's name
}

type values struct {
	path []string // of the claim
	all  []entry
	of   map[string][]entry
}

// fact is what a rule is found by: one of the texts that a claim must have.
type fact struct {
	claim string
	texts []string
}

// scopesFact is no claim's name: the claim scope is one text, which a rule may
// also ask for as a whole.
const scopesFact = "scopes"

func (t *byFact) add(e entry) {
	if e.fact.claim == "" {
		t.any = append(t.any, e)
		return
	}
	v := child(&t.named, e.fact.claim)
	if v.of == nil {
		v.path, v.of = strings.Split(e.fact.claim, "."), map[string][]entry{}
	}
	v.all = append(v.all, e)
	for _, text := range e.fact.texts {
		v.of[text] = append(v.of[text], e)
	}
}

func (t *byFact) find(s *subject, found []entry) []entry {
	found = append(found, t.any...)
	for _, v := range t.named {
		texts, certain := s.texts(v.path)
		if !certain { // no rule on this claim can be decided
			found = append(found, v.all...)
			continue
		}
		for _, text := range texts {
			found = append(found, v.of[text]...)
		}
	}
	return found
}

// texts gives the texts of a claim, or the scopes; uncertain where there is
// anything else, or nothing.
func (s *subject) texts(claim []string) (texts []string, certain bool) {
	if claim[0] == scopesFact {
		return s.scopes, s.claims != nil
	}
	value, _ := s.claims.Lookup(claim...)
	if text, isText := value.(string); isText {
		return []string{text}, true
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

// child gives the entry of a map, made where there is none.
func child[K comparable, V any](m *map[K]*V, key K) *V {
	if *m == nil {
		*m = map[K]*V{}
	}
	if (*m)[key] == nil {
		(*m)[key] = new(V)
	}
	return (*m)[key]
}
