package rehearse

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
)

// Report is the result of a rehearsal.
type Report struct {
	File     string              `json:"file"`
	Seconds  float64             `json:"seconds"` // the load took
	Requests int                 `json:"requests"`
	Isolated bool                `json:"isolated"` // no connection out of this machine was possible
	Scope    string              `json:"scope"`    // what of a request was rehearsed
	Limiter  localcopy.Limiter   `json:"limiter"`
	APIs     []*localcopy.API    `json:"apis"`
	Services []localcopy.Service `json:"services"`
	Rows     []*Row              `json:"rows"`  // by caller and API
	Loads    []*LoadResult       `json:"loads"` // in the order of the file
	Replay   *ReplayResult       `json:"replay,omitempty"`
	Missed   int                 `json:"missed"` // expectations that were not met
	Changes  localcopy.Changes   `json:"changes"`
}

// Row sums up the requests of a caller to an API.
type Row struct {
	Caller   string         `json:"caller"`
	API      string         `json:"api"`
	Requests int            `json:"requests"`
	Status   map[string]int `json:"status"`
	Denials  []*DenialCount `json:"denials"`
	Limits   []*LimitCount  `json:"limits"`
	Latency  Latency        `json:"latency"`
	Idle     Latency        `json:"idle"` // of requests that the service answered while no other one was under way
}

// DenialCount counts the requests with one reason.
type DenialCount struct {
	Denial
	Count int `json:"count"`
}

// LimitCount counts the requests that a limit denied.
type LimitCount struct {
	Limit
	Status  int     `json:"status"`  // 429, or 403 for a quota
	From    int     `json:"from"`    // number of the first one, from 1, of this caller to this API
	Seconds float64 `json:"seconds"` // since the start, of the first one
	Count   int     `json:"count"`
}

// Latency has milliseconds, as the client measured them, and the share of each layer in requests that the service answered.
type Latency struct {
	P50    float64            `json:"p50"`
	P99    float64            `json:"p99"`
	Layers map[string]float64 `json:"layers,omitempty"` // median
	Count  int                `json:"count"`            // of requests that Layers is of
}

// LoadResult is the result of a load.
type LoadResult struct {
	Name     string         `json:"name"`
	Caller   string         `json:"caller"`
	API      string         `json:"api"`
	Method   string         `json:"method"`
	Path     string         `json:"path"`
	Requests int            `json:"requests"`
	Status   map[string]int `json:"status"`
	Denials  []*DenialCount `json:"denials"`
	Limits   []*LimitCount  `json:"limits"`
	Latency  Latency        `json:"latency"`
	Checks   []Check        `json:"checks"` // expectations
	Points   []Point        `json:"points"`
}

// Point is one request, for a plot.
type Point struct {
	Seconds float64 `json:"s"` // since the start
	Status  int     `json:"status"`
	MS      float64 `json:"ms"`
}

// Check is an expectation and what was seen.
type Check struct {
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Met  bool   `json:"met"`
}

// scope is what a rehearsal covers.
const scope = "the edge and the first hop: the stand-ins for services call no other service, so no later hop was decided"

func newReport(c *localcopy.Copy, p *plan.Plan, s *sender, took time.Duration, isolated bool) *Report {
	r := &Report{
		File: p.File, Seconds: roundSeconds(took.Seconds()), Isolated: isolated, Limiter: c.Limiter, APIs: c.APIs, Services: c.Services, Changes: c.Changes,
		Scope: scope, Rows: []*Row{}, Loads: []*LoadResult{},
	}
	for _, results := range s.results {
		r.Requests += len(results)
	}
	return r
}

// numbered is a request with its outcome and its load.
type numbered struct {
	sent
	outcome
	load int
}

// addResults explains each request, and sums up by load, and by caller and API.
func (r *Report) addResults(p *plan.Plan, s *sender, e *explainer) {
	type pair struct{ caller, api string }
	groups, idle := map[pair][]numbered{}, map[pair][]numbered{}
	var order []pair
	for i, l := range p.Load {
		caller, api := s.byName[l.As], s.copy.FindAPI(l.Host, l.Path)
		id := "(no API)"
		if api != nil {
			id = api.ID
		}
		key := pair{caller.Name, id}
		if groups[key] == nil {
			order = append(order, key)
		}
		var all []numbered
		for _, result := range s.results[i] {
			all = append(all, numbered{result, e.explainOutcome(l, caller, api, result), i})
		}
		groups[key] = append(groups[key], all...)
		for _, result := range s.idle[i] {
			idle[key] = append(idle[key], numbered{result, e.explainOutcome(l, caller, api, result), i})
		}
		r.Loads = append(r.Loads, newLoadResult(l, caller.Name, id, all))
	}
	for _, key := range order {
		all := groups[key]
		slices.SortStableFunc(all, func(a, b numbered) int { return cmp.Compare(a.at, b.at) })
		row := &Row{Caller: key.caller, API: key.api, Requests: len(all)}
		row.Status, row.Denials, row.Limits, row.Latency = sumUp(all)
		row.Idle = newIdleLatency(append(all, idle[key]...))
		r.Rows = append(r.Rows, row)
	}
}

func newLoadResult(l plan.Load, caller, api string, all []numbered) *LoadResult {
	path, _, _ := strings.Cut(l.Path, "?") // a query may have a token
	result := &LoadResult{Name: l.Name, Caller: caller, API: api, Method: l.Method, Path: path, Requests: len(all), Points: []Point{}}
	result.Status, result.Denials, result.Limits, result.Latency = sumUp(all)
	for _, one := range all {
		result.Points = append(result.Points, Point{roundSeconds(one.at.Seconds()), one.status, toMilliseconds(one.took)})
	}
	result.Checks = checkLoad(l.Expect, result)
	return result
}

// sumUp counts requests, which are in the order of their time.
func sumUp(all []numbered) (map[string]int, []*DenialCount, []*LimitCount, Latency) {
	status, denials, limits := map[string]int{}, []*DenialCount{}, []*LimitCount{}
	var results []sent
	for n, one := range all {
		results = append(results, one.sent)
		name := "no answer"
		if one.status > 0 {
			name = strconv.Itoa(one.status)
		}
		status[name]++
		if d := one.denial; d != nil {
			i := slices.IndexFunc(denials, func(known *DenialCount) bool { return known.Denial == *d })
			if i < 0 {
				denials = append(denials, &DenialCount{Denial: *d})
				i = len(denials) - 1
			}
			denials[i].Count++
		}
		if l := one.limit; l != nil {
			i := slices.IndexFunc(limits, func(known *LimitCount) bool { return known.Limit == *l })
			if i < 0 {
				limits = append(limits, &LimitCount{Limit: *l, Status: one.status, From: n + 1, Seconds: roundSeconds(one.at.Seconds())})
				i = len(limits) - 1
			}
			limits[i].Count++
		}
	}
	return status, denials, limits, newLatency(results, all)
}

func newIdleLatency(all []numbered) Latency {
	var results []sent
	var alone []numbered
	for _, one := range all {
		if one.alone && one.trace.Reached {
			results, alone = append(results, one.sent), append(alone, one)
		}
	}
	return newLatency(results, alone)
}

func newLatency(results []sent, all []numbered) Latency {
	times := sortLatencies(results)
	l := Latency{P50: toMilliseconds(findQuantile(times, 0.5)), P99: toMilliseconds(findQuantile(times, 0.99))}
	layers := map[string][]time.Duration{}
	for _, one := range all {
		t := one.trace
		if !t.Reached {
			continue
		}
		l.Count++
		envoys := t.Egress - t.Authorizer - t.Service
		for layer, took := range map[string]time.Duration{LayerGateway: one.took - t.Egress, LayerEnvoy: envoys, LayerAuthorizer: t.Authorizer, LayerService: t.Service} {
			layers[layer] = append(layers[layer], max(0, took))
		}
	}
	if l.Count > 0 {
		l.Layers = map[string]float64{}
	}
	for layer, times := range layers {
		slices.Sort(times)
		l.Layers[layer] = toMilliseconds(findQuantile(times, 0.5))
	}
	return l
}

// findQuantile is that of sorted times; zero without times.
func findQuantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func toMilliseconds(d time.Duration) float64 {
	return float64(d.Round(10*time.Microsecond).Microseconds()) / 1000
}

func roundSeconds(seconds float64) float64 { return float64(int64(seconds*1000+0.5)) / 1000 }

// countMissed counts the expectations that were not met.
func (r *Report) countMissed() {
	for _, c := range r.listChecks() {
		if !c.Met {
			r.Missed++
		}
	}
}

func (r *Report) listChecks() (all []Check) {
	for _, l := range r.Loads {
		all = append(all, l.Checks...)
	}
	if r.Replay != nil {
		all = append(all, r.Replay.Checks...)
	}
	return all
}

// Passed reports whether all expectations were met.
func (r *Report) Passed() bool { return r.Missed == 0 }

// checkLoad compares a result with what the file expects.
func checkLoad(e plan.Expect, r *LoadResult) []Check {
	checks := []Check{}
	add := func(what, want, got string, met bool) { checks = append(checks, Check{what, want, got, met}) }
	expected := 0
	for _, status := range e.Statuses() {
		want, got := e.Status[status], r.Status[status]
		add("status "+status, want.String(), strconv.Itoa(got), want.Has(got))
		expected += got
	}
	if len(e.Status) > 0 && expected < r.Requests {
		add("other statuses", "0", strconv.Itoa(r.Requests-expected), false)
	}
	from := 0
	for _, l := range r.Limits {
		if from == 0 || l.From < from {
			from = l.From
		}
	}
	if e.LimitedFrom != nil {
		add("limited from request", e.LimitedFrom.String(), strconv.Itoa(from), e.LimitedFrom.Has(from))
	}
	if e.LimitedBy != "" {
		got, met := "no limit", false
		for i, l := range r.Limits {
			if i == 0 {
				got, met = "", true
			} else {
				got += "; "
			}
			got += fmt.Sprintf("%s (%s)", l.Kind, l.Name)
			met = met && (e.LimitedBy == l.Kind || e.LimitedBy == l.Name)
		}
		add("limited by", e.LimitedBy, got, met)
	}
	if e.DeniedBy != "" {
		got, met := "none", e.DeniedBy == "none"
		for i, d := range r.Denials {
			if i == 0 {
				got, met = "", true
			} else {
				got += "; "
			}
			got += d.Denial.String()
			met = met && (e.DeniedBy == d.Rule || e.DeniedBy == d.Reason || e.DeniedBy == d.Layer)
		}
		add("denied by", e.DeniedBy, got, met)
	}
	if e.P99 > 0 {
		add("p99 in ms at most", fmt.Sprint(toMilliseconds(e.P99)), fmt.Sprint(r.Latency.P99), r.Latency.P99 <= toMilliseconds(e.P99))
	}
	return checks
}
