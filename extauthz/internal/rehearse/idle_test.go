package rehearse

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
)

// A request is alone if no other one is under way from its beginning to its end, whichever load they are of.
func TestMarkAlone(t *testing.T) {
	request := func(at, took int) sent {
		return sent{at: time.Duration(at) * time.Millisecond, took: time.Duration(took) * time.Millisecond}
	}
	s := sender{
		results: [][]sent{{request(0, 5), request(10, 30), request(50, 5), request(90, 5)}, {request(5, 5), request(20, 5), request(54, 10)}},
		idle:    [][]sent{nil, {request(100, 5)}},
	}
	s.markAlone()
	var alone []string
	for list, all := range slices.Concat(s.results, s.idle) {
		for i, r := range all {
			if r.alone {
				alone = append(alone, fmt.Sprintf("%d.%d", list, i))
			}
		}
	}
	if diff := cmp.Diff([]string{"0.0", "0.3", "1.0", "3.0"}, alone); diff != "" {
		t.Error(diff)
	}
}

// Idle latency is of the requests that the service answered alone.
func TestIdleLatency(t *testing.T) {
	request := func(ms int, alone, reached bool) numbered {
		took := time.Duration(ms) * time.Millisecond
		return numbered{sent: sent{took: took, status: 200, alone: alone}, outcome: outcome{trace: &localcopy.Trace{
			Reached: reached, Egress: took / 2, Service: took / 10, Authorizer: took / 10,
		}}}
	}
	got := newIdleLatency([]numbered{request(90, false, true), request(10, true, true), request(70, true, false), request(20, true, true)})
	want := Latency{P50: 20, P99: 20, Count: 2, Layers: map[string]float64{LayerGateway: 10, LayerEnvoy: 6, LayerAuthorizer: 2, LayerService: 2}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := newIdleLatency(nil); got.Count != 0 || got.Layers != nil {
		t.Errorf("got %+v of no request", got)
	}
}
