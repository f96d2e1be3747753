package plan

import (
	"slices"
	"strconv"
	"time"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Expect is the outcome that a load must have. A key that is absent expects nothing.
type Expect struct {
	Status      map[string]Range `yaml:"status"`      // how many answers, by their status
	LimitedFrom *Range           `yaml:"limitedFrom"` // number of the first request, from 1, that a rate limit or quota denied; 0: all passed
	LimitedBy   string           `yaml:"limitedBy"`   // kind of that limit, or its name
	DeniedBy    string           `yaml:"deniedBy"`    // rule or reason of all denials that are no limit; "none" expects no denial
	P99         time.Duration    `yaml:"p99"`         // 99 of 100 requests take at most this long
}

// Kinds of limits.
const (
	LimitPolicy = "policy" // of a Tyk policy, for all its APIs together
	LimitKey    = "key"    // of the key itself
	LimitAPI    = "api"    // of one API or endpoint, that a policy or a key sets for a caller
	LimitGlobal = "global" // of the API definition, for all callers together
	LimitQuota  = "quota"  // not a rate: requests in a renewal period
)

// LimitKinds are all kinds.
var LimitKinds = []string{LimitPolicy, LimitKey, LimitAPI, LimitGlobal, LimitQuota}

func (e Expect) check(c *strictyaml.Checker, at strictyaml.Path) {
	for status := range e.Status {
		if code, err := strconv.Atoi(status); err != nil || code < 100 || code > 599 {
			c.Reject(at.With("status", status), "want a status from 100 to 599, not %q", status)
		}
	}
	c.RequireTextIfPresent(at.With("limitedBy"), e.LimitedBy)
	c.RequireTextIfPresent(at.With("deniedBy"), e.DeniedBy)
	if c.Has(at.With("p99")) {
		strictyaml.RequireRange(c, at.With("p99"), e.P99, time.Millisecond, time.Minute)
	}
}

// Statuses are the expected statuses in order.
func (e Expect) Statuses() []string {
	var all []string
	for status := range e.Status {
		all = append(all, status)
	}
	slices.Sort(all)
	return all
}
