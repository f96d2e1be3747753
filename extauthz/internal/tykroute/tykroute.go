// Package tykroute answers what Tyk's gateway does with a request: which API takes it, and which upstream host gets it under which path, or why
// no upstream gets it. It follows the gateway's source (v5.8: gateway/api_loader.go, mw_version_check.go, mw_url_rewrite.go, reverse_proxy.go)
// and matches with the gateway's own router, gorilla/mux. Authentication, rights and limits are no part of it.
package tykroute

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/meshpass/meshpass/extauthz/internal/pathindex"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Request is a request as the gateway receives it.
type Request struct {
	Method string
	Host   string      // the field Host, without a port or with it
	Target string      // the request target: the path as it is written, and the query
	Header http.Header // for versions in headers; nil: no fields
	Port   int         // the gateway's port; 0: its own one, and not that of an API
}

// Outcome is what the gateway does.
type Outcome string

// The outcomes.
const (
	Passed   Outcome = "passed"   // an upstream gets the request
	Answered Outcome = "answered" // the gateway answers by itself: it denies, redirects or has no API
	Unknown  Outcome = "unknown"  // the definitions do not determine it
)

// Answer is what the gateway does with a request.
type Answer struct {
	Outcome         Outcome
	API             *model.API // that takes the request by its listen path; nil: the gateway has no such API
	Serving         *model.API // that forwards it: API itself, its version, or the end of an internal loop
	Alias           bool       // the request came under /{api_id}/
	Unauthenticated bool       // the endpoint is ignored: there is no session
	Status          int        // of an answer by the gateway; 0: the connection is aborted
	Location        string     // of a redirect
	Reason          string     // why no upstream gets the request
	Place           *objects.Node
	Upstreams       []Upstream // several ones if the gateway balances the load

	byEndpoint bool // a list of endpoints decides
}

// IsRefusal reports that no upstream gets requests of this host, path and version, without regard to lists of endpoints.
func (a Answer) IsRefusal() bool {
	return a.Outcome == Answered && !a.byEndpoint && a.Status >= http.StatusBadRequest && a.Status != http.StatusMethodNotAllowed
}

// Upstream is a destination.
type Upstream struct {
	URL    *url.URL // complete: scheme, host, path and query
	Host   string   // the field Host
	Method string
	Weight int // the share among the upstreams of an answer
}

// Path is the path on the wire, without the query.
func (u Upstream) Path() string {
	if path := u.URL.EscapedPath(); path != "" {
		return path
	}
	return "/"
}

// Problem is a fault of a definition that leaves its routing undetermined.
type Problem struct {
	API    *model.API
	Place  *objects.Node
	Reason string
}

// Router has the APIs of one gateway.
type Router struct {
	Gateway  *model.TykGateway // nil: the input has no configuration of a gateway; the defaults of Tyk count
	Switches Switches
	Problems []Problem
	apis     []*api
	entries  []*entry
	byHost   map[string]*pathindex.Index // of entries, by decoded paths; by host in small letters, or "" for every host and for patterns
	byID     map[string]*api
	byName   map[string]*api   // in small letters, as internal loops write it
	ranks    map[rank][]*api   // those that clients reach
	byAlias  map[string][]*api // the same, by id
}

// NewRouters gives a router for each gateway of the input that serves APIs.
func NewRouters(m *model.Model) []*Router {
	var all []*Router
	for _, a := range m.ServedAPIs() {
		g := m.GatewayOf(a)
		at := slices.IndexFunc(all, func(r *Router) bool { return r.Gateway == g })
		if at < 0 {
			all = append(all, &Router{Gateway: g, Switches: switchesOf(g)})
			at = len(all) - 1
		}
		all[at].apis = append(all[at].apis, readAPI(a, g, all[at].Switches))
	}
	for _, r := range all {
		r.order()
		for _, a := range r.apis {
			r.Problems = append(r.Problems, a.problems...)
		}
	}
	return all
}

// APIs are the definitions that the gateway has, in the order that its router asks them.
func (r *Router) APIs() []*model.API {
	var all []*model.API
	for _, a := range r.apis {
		all = append(all, a.API)
	}
	return all
}

func answered(a *api, status int, reason string) Answer {
	answer := Answer{Outcome: Answered, Status: status, Reason: reason}
	if a != nil {
		answer.API, answer.Serving = a.API, a.API
	}
	return answer
}

func unknown(a *api, at *objects.Node, reason string) Answer {
	return Answer{Outcome: Unknown, API: a.API, Serving: a.API, Place: at, Reason: reason}
}

func quote(text string) string { return strconv.Quote(text) }
