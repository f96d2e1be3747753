package rehearse

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
)

// Bounds of the requests that are sent one at a time after the load.
const (
	idleRequests = 10 // of a caller to an API
	idleBound    = 5 * time.Second
)

// deniedStatuses are those of limits, rules and credentials: a caller that gets one has nothing to measure.
var deniedStatuses = []int{0, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}

// sendIdle sends requests one at a time, when the load has ended: for each caller and API, those of the first load that was not denied
// whole. They come after the load, because limits count them.
func (s *sender) sendIdle(ctx context.Context, began time.Time) {
	until := time.Now().Add(idleBound)
	type pair struct {
		caller string
		api    *localcopy.API
	}
	measured := map[pair]bool{}
	s.idle = make([][]sent, len(s.loads))
	for i, l := range s.loads {
		key := pair{l.As, s.copy.FindAPI(l.Host, l.Path)}
		if measured[key] || !slices.ContainsFunc(s.results[i], isServed) {
			continue
		}
		measured[key] = true
		for n := 0; n < idleRequests && time.Now().Before(until) && ctx.Err() == nil; n++ {
			one := s.sendOne(ctx, i, len(s.results[i])+n, began)
			if !isServed(one) {
				break
			}
			s.idle[i] = append(s.idle[i], one)
		}
	}
}

func isServed(r sent) bool { return !slices.Contains(deniedStatuses, r.status) }

// markAlone marks the requests during which no other one was under way.
func (s *sender) markAlone() {
	var all []*sent
	for _, lists := range [][][]sent{s.results, s.idle} {
		for _, list := range lists {
			for i := range list {
				all = append(all, &list[i])
			}
		}
	}
	slices.SortFunc(all, func(a, b *sent) int { return int(a.at - b.at) })
	ended := time.Duration(0) // of all before
	for i, r := range all {
		r.alone = r.at >= ended && (i+1 == len(all) || all[i+1].at >= r.at+r.took)
		ended = max(ended, r.at+r.took)
	}
}
