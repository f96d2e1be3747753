package tykrules

import (
	"regexp/syntax"
	"strings"
)

// missingAnchors names the anchors that a compiled pattern lacks. Each of its alternatives needs them; one that ends with .* needs no end.
func missingAnchors(compiled string) string {
	parsed, err := syntax.Parse(compiled, syntax.Perl)
	if err != nil {
		return ""
	}
	var missing []string
	if !isAnchored(parsed, first) {
		missing = append(missing, "^")
	}
	if !isAnchored(parsed, last) {
		missing = append(missing, "$")
	}
	return strings.Join(missing, " and no ")
}

// end is an end of a pattern.
type end bool

const (
	first end = true
	last  end = false
)

// isAnchored reports whether all that a pattern matches begins, or ends, where the text does.
func isAnchored(n *syntax.Regexp, at end) bool {
	switch n.Op {
	case syntax.OpBeginText, syntax.OpBeginLine:
		return at == first
	case syntax.OpEndText, syntax.OpEndLine:
		return at == last
	case syntax.OpCapture:
		return isAnchored(n.Sub[0], at)
	case syntax.OpStar:
		return at == last && isAnyCharacter(n.Sub[0])
	case syntax.OpConcat:
		if at == first {
			return isAnchored(n.Sub[0], at)
		}
		return isAnchored(n.Sub[len(n.Sub)-1], at)
	case syntax.OpAlternate:
		for _, each := range n.Sub {
			if !isAnchored(each, at) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

func isAnyCharacter(n *syntax.Regexp) bool {
	return n.Op == syntax.OpAnyChar || n.Op == syntax.OpAnyCharNotNL
}

// sample gives a text that a pattern matches; ok is false for a pattern with other parts, such as word boundaries.
func sample(n *syntax.Regexp) (text string, ok bool) {
	switch n.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpStar, syntax.OpQuest:
		return "", true
	case syntax.OpLiteral:
		return string(n.Rune), true
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x", true
	case syntax.OpCharClass:
		for _, r := range "x1X-_./" {
			for i := 0; i+1 < len(n.Rune); i += 2 {
				if n.Rune[i] <= r && r <= n.Rune[i+1] {
					return string(r), true
				}
			}
		}
		return string(n.Rune[:min(1, len(n.Rune))]), len(n.Rune) > 0
	case syntax.OpCapture, syntax.OpPlus:
		return sample(n.Sub[0])
	case syntax.OpRepeat:
		each, ok := sample(n.Sub[0])
		return strings.Repeat(each, n.Min), ok
	case syntax.OpAlternate:
		return sample(n.Sub[0])
	case syntax.OpConcat:
		for _, part := range n.Sub {
			each, ok := sample(part)
			if !ok {
				return "", false
			}
			text += each
		}
		return text, true
	default:
		return "", false
	}
}
