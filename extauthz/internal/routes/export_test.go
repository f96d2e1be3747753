package routes

import "github.com/meshpass/meshpass/extauthz/internal/tykroute"

// Compared is how often a route and a request were compared.
func (r Report) Compared() int { return r.compared }

// FindRepeated gives for each rule whether the next one for its path repeats it.
func FindRepeated(rules []tykroute.Rule) (repeated []bool) {
	x := newRepeatIndex(rules)
	for i := range rules {
		repeated = append(repeated, x.isRepeated(i))
	}
	return repeated
}

// FindOverlaps gives the rules that may overlap a path.
func FindOverlaps(rules []tykroute.Rule, p tykroute.PathMatch) (found []int) {
	newOverlapIndex(len(rules), func(i int) string { return rules[i].Path.Literal() }).visit(p, func(i int) bool {
		found = append(found, i)
		return true
	})
	return found
}
