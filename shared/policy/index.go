package policy

import (
	"slices"
)

// index finds the rules of one kind that a request can match, so that the time
// of a decision does not follow their number. It is a trie over the segments of
// paths; where a path ends, rules are told apart by caller, host, and a claim or
// scope. What an index leaves out would say no; all that it finds is still asked.
type index struct {
	entries  []entry // all
	paths    node
	anywhere byCaller // rules for every path
}

func (x *index) add(e entry) {
	x.entries = append(x.entries, e)
	if e.pattern == nil {
		x.anywhere.add(e)
		return
	}
	x.paths.add(e, e.pattern.segments)
}

// find appends what fits the subject's path, caller and host.
func (x *index) find(s *subject, found []entry) []entry {
	if s.odd != nil { // rare, and only where a rule admits it: segments may mean anything
		for _, e := range x.entries {
			if v, _ := e.path(s); v != no {
				found = append(found, e)
			}
		}
		return found
	}
	if x.entries == nil {
		return found
	}
	return x.paths.find(s, s.segments, x.anywhere.find(s, found))
}

// node is a place in the trie: what the segments so far lead to.
type node struct {
	literals map[string]*node
	capture  *node
	end      byCaller // patterns that end here
	open     byCaller // patterns that go on with /**
}

func (n *node) add(e entry, rest []segment) {
	switch {
	case len(rest) > 0:
		n.child(rest[0]).add(e, rest[1:])
	case e.pattern.open:
		n.open.add(e)
	default:
		n.end.add(e)
	}
}

func (n *node) child(s segment) *node {
	if s.capture != "" {
		if n.capture == nil {
			n.capture = &node{}
		}
		return n.capture
	}
	return child(&n.literals, s.literal)
}

func (n *node) find(s *subject, rest []string, found []entry) []entry {
	if len(rest) == 0 {
		return n.end.find(s, found)
	}
	found = n.open.find(s, found)
	if next := n.literals[rest[0]]; next != nil {
		found = next.find(s, rest[1:], found)
	}
	if n.capture != nil && rest[0] != "" {
		found = n.capture.find(s, rest[1:], found)
	}
	return found
}

// sorted puts entries in the order of documents and rules, each once.
func sorted(entries []entry) []entry {
	if len(entries) > 1 {
		slices.SortStableFunc(entries, compareEntries)
	}
	return entries
}
