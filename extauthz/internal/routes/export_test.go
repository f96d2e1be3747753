package routes

import (
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

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

// Found is where a route leads a request.
type Found struct {
	Path   string
	Shares map[string]int // by HOST:PORT
}

// FindRoute finds where the routes of the only Gateway of the input lead a request; nil: nowhere.
func FindRoute(m *model.Model) func(tykroute.Request) *Found {
	e := (&renderer{Model: m}).readExisting()
	return func(request tykroute.Request) *Found {
		for _, table := range e.tables {
			route := table.find(probe{method: request.Method, host: request.Host, target: request.Target, header: request.Header})
			if route == nil || route.answers {
				return nil
			}
			found := &Found{Path: request.Target, Shares: map[string]int{}}
			found.Path, _, _ = strings.Cut(found.Path, "?")
			if route.rewrite != nil {
				found.Path = route.rewrite(found.Path)
			}
			for _, b := range route.backends {
				found.Shares[fmt.Sprintf("%s:%d", b.host, b.port)] += b.weight
			}
			return found
		}
		return nil
	}
}
