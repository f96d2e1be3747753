package policy

import "github.com/meshpass/meshpass/shared/policy/path"

// index finds the rules of one step that a request can match, so that the time of a
// decision does not grow with their number. It is a trie over the segments of paths;
// at the end of a path, [callerTier] divides the rules. A rule that the index does not find
// would not match. A rule that it finds is still evaluated.
type index struct {
	candidates []candidate // all
	paths      pathNode
	anyPath    callerTier // rules for every path
}

func (x *index) add(c candidate) {
	x.candidates = append(x.candidates, c)
	if c.pattern == nil {
		x.anyPath.add(c)
		return
	}
	x.paths.add(c, c.pattern.Segments)
}

// find appends the candidates that fit the request's path, caller and host.
func (x *index) find(e *evaluation, found []candidate) []candidate {
	if e.ambiguous != nil { // rare, and only where a rule admits it: segments may mean anything
		for _, c := range x.candidates {
			if v, _ := c.matchFoundPath(e); v != no {
				found = append(found, c)
			}
		}
		return found
	}
	if x.candidates == nil {
		return found
	}
	return x.paths.find(e, e.segments, x.anyPath.find(e, found))
}

// pathNode is a node of the trie, below the segments that lead to it.
type pathNode struct {
	literals entries[string, pathNode]
	capture  *pathNode
	end      callerTier // patterns that end here
	open     callerTier // patterns that go on with /**
}

func (n *pathNode) add(c candidate, rest []path.Segment) {
	switch {
	case len(rest) > 0:
		n.childFor(rest[0]).add(c, rest[1:])
	case c.pattern.Open:
		n.open.add(c)
	default:
		n.end.add(c)
	}
}

func (n *pathNode) childFor(s path.Segment) *pathNode {
	if s.Capture != "" {
		if n.capture == nil {
			n.capture = &pathNode{}
		}
		return n.capture
	}
	return n.literals.findOrAdd(s.Literal)
}

func (n *pathNode) find(e *evaluation, rest []string, found []candidate) []candidate {
	if len(rest) == 0 {
		return n.end.find(e, found)
	}
	found = n.open.find(e, found)
	if next := n.literals.find(rest[0]); next != nil {
		found = next.find(e, rest[1:], found)
	}
	if n.capture != nil && rest[0] != "" {
		found = n.capture.find(e, rest[1:], found)
	}
	return found
}
