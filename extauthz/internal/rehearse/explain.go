package rehearse

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
	"github.com/meshpass/meshpass/shared/audit"
)

// Layers of the way of a request.
const (
	LayerGateway    = "gateway"    // Tyk itself
	LayerPlugin     = "plugin"     // in the gateway
	LayerEnvoy      = "envoy"      // that of the gateway or of the workload
	LayerAuthorizer = "authorizer" // its decision
	LayerService    = "service"    // a substitute
)

// Denial is why a request got no answer of the service.
type Denial struct {
	Layer  string `json:"layer"`
	Reason string `json:"reason"`         // of a record, or Tyk's message
	Rule   string `json:"rule,omitempty"` // DOCUMENT/RULE
}

// String is the denial for people.
func (d Denial) String() string {
	if d.Rule != "" {
		return fmt.Sprintf("%s: %s by %s", d.Layer, d.Reason, d.Rule)
	}
	return d.Layer + ": " + d.Reason
}

// Limit is a rate limit or a quota that denied requests.
type Limit struct {
	Kind   string  `json:"kind"` // see plan.LimitKinds
	Name   string  `json:"name"`
	Rate   float64 `json:"rate,omitempty"` // requests in the time Per
	Per    float64 `json:"per,omitempty"`  // seconds
	Quota  float64 `json:"quota,omitempty"`
	Shared string  `json:"shared"` // what is counted together
}

// outcome is what happened to a request.
type outcome struct {
	denial *Denial
	limit  *Limit
	trace  *localcopy.Trace
}

// explainer finds out who answered a request, and why.
type explainer struct {
	copy     *localcopy.Copy
	sessions map[*localcopy.Caller][]localcopy.Session
	traces   map[string]*localcopy.Trace
}

func newExplainer(c *localcopy.Copy, sessions map[*localcopy.Caller][]localcopy.Session, traces map[string]*localcopy.Trace) *explainer {
	return &explainer{c, sessions, traces}
}

// Messages of Tyk 5.8 for the two places that limit rates, and for quotas.
const (
	messageCallerRate = "Rate Limit Exceeded"
	messageGlobalRate = "API Rate Limit Exceeded"
	messageQuota      = "Quota exceeded"
)

func (e *explainer) explainOutcome(l plan.Load, caller *localcopy.Caller, api *localcopy.API, r sent) outcome {
	t := e.traces[r.id]
	if t == nil {
		t = &localcopy.Trace{}
	}
	o := outcome{trace: t}
	switch {
	case r.status == 0:
		o.denial = &Denial{Layer: LayerGateway, Reason: cmp.Or(r.err, "not sent")}
	case !t.Left && strings.EqualFold(r.message, messageGlobalRate):
		o.limit = e.globalLimit(api, l)
	case !t.Left && strings.EqualFold(r.message, messageCallerRate):
		o.limit = e.callerLimit(caller, api, l)
	case !t.Left && strings.EqualFold(r.message, messageQuota):
		o.limit = e.quotaLimit(caller, api)
	case isDenial(t.Check):
		o.denial = newDenial(LayerAuthorizer, t.Check)
	case isDenial(t.Edge):
		o.denial = newDenial(LayerPlugin, t.Edge)
	case t.Reached || t.Left && t.Flags == "" && r.status < 400:
	case r.status >= 400 && t.Left:
		if t.Flags != "" {
			o.denial = &Denial{Layer: LayerEnvoy, Reason: fmt.Sprintf("%d, response flags %s", r.status, t.Flags)}
		} else {
			o.denial = &Denial{Layer: LayerService, Reason: fmt.Sprint(r.status)}
		}
	case r.status >= 300:
		o.denial = &Denial{Layer: LayerGateway, Reason: cmp.Or(r.message, fmt.Sprintf("status %d", r.status))}
	}
	return o
}

func isDenial(r *audit.Record) bool { return r != nil && r.Decision == "deny" }

func newDenial(layer string, r *audit.Record) *Denial {
	d := &Denial{Layer: layer, Reason: r.Reason}
	if r.Rule != "" {
		d.Rule = r.Policy + "/" + r.Rule
	}
	return d
}

// globalLimit names the limit of the definition, for all callers.
func (e *explainer) globalLimit(api *localcopy.API, l plan.Load) *Limit {
	if api == nil {
		return &Limit{Kind: plan.LimitGlobal, Name: "an API", Shared: "all callers"}
	}
	if found := e.copy.Matching.FindDefined(api, l.Method, l.Path); found != nil {
		return &Limit{Kind: plan.LimitGlobal, Name: fmt.Sprintf("API %s, endpoint %s %s", api.ID, found.Method, found.Path), Rate: found.Rate.Rate, Per: found.Per, Shared: "all callers of the endpoint"}
	}
	limit := &Limit{Kind: plan.LimitGlobal, Name: "API " + api.ID, Shared: "all callers of the API"}
	if api.Global != nil {
		limit.Rate, limit.Per = api.Global.Rate, api.Global.Per
	}
	return limit
}

// findRights finds what a caller's session may do with an API. session is nil if the gateway holds no session.
func (e *explainer) findRights(caller *localcopy.Caller, api *localcopy.API) (session *localcopy.Session, rights localcopy.APIRights) {
	if api == nil {
		return nil, rights
	}
	for i, s := range e.sessions[caller] {
		if r, may := s.APIs[api.ID]; may {
			return &e.sessions[caller][i], r
		}
	}
	if all := e.sessions[caller]; len(all) > 0 {
		return &all[0], rights
	}
	return nil, rights
}

// callerLimit names the rate limit of a caller.
func (e *explainer) callerLimit(caller *localcopy.Caller, api *localcopy.API, l plan.Load) *Limit {
	session, rights := e.findRights(caller, api)
	if session == nil {
		return &Limit{Kind: plan.LimitKey, Name: caller.Name, Shared: "the caller's requests"}
	}
	if endpoint := e.copy.Matching.FindGranted(rights.Endpoints, api, l.Method, l.Path); endpoint != nil && endpoint.Rate.Rate > 0 {
		where := fmt.Sprintf("endpoint %s %s of API %s", endpoint.Method, endpoint.Path, api.ID)
		setBy := e.setBy(session, caller, func(p localcopy.Policy) bool { return slices.Contains(p.Rates[api.ID], *endpoint) })
		return &Limit{Kind: plan.LimitAPI, Name: setBy + ", " + where, Rate: endpoint.Rate.Rate, Per: endpoint.Per, Shared: "the caller's requests to the endpoint"}
	}
	effective := rights.Limit.Rate
	if effective.Rate == 0 {
		effective = session.Limit.Rate
	}
	limit := &Limit{Rate: effective.Rate, Per: effective.Per}
	e.nameLimit(limit, session, rights, caller, api, func(own localcopy.Limit) bool { return own.Rate == effective })
	return limit
}

func (e *explainer) quotaLimit(caller *localcopy.Caller, api *localcopy.API) *Limit {
	limit := &Limit{Kind: plan.LimitQuota, Name: caller.Name}
	session, rights := e.findRights(caller, api)
	if session == nil {
		return limit
	}
	if limit.Quota = rights.Limit.Quota; limit.Quota <= 0 {
		limit.Quota = session.Limit.Quota
	}
	e.nameLimit(limit, session, rights, caller, api, func(own localcopy.Limit) bool { return own.Quota == limit.Quota })
	limit.Kind = plan.LimitQuota
	return limit
}

// nameLimit finds who set a limit, and what is counted together. The gateway's scope of a count is the id of an API or of a policy;
// without one, all requests of the session count together.
func (e *explainer) nameLimit(limit *Limit, session *localcopy.Session, rights localcopy.APIRights, caller *localcopy.Caller, api *localcopy.API, same func(localcopy.Limit) bool) {
	_, ofPolicy := e.copy.Policies[rights.Scope]
	if rights.Scope != "" && !ofPolicy {
		setBy := e.setBy(session, caller, func(p localcopy.Policy) bool { own, set := p.APIs[api.ID]; return set && same(own) })
		limit.Kind, limit.Name, limit.Shared = plan.LimitAPI, setBy+", API "+api.ID, "the caller's requests to the API"
		return
	}
	limit.Shared = "all requests of the caller"
	limit.Name = e.setBy(session, caller, func(p localcopy.Policy) bool { return same(p.Limit) })
	limit.Kind = plan.LimitPolicy
	if strings.HasPrefix(limit.Name, "key ") {
		limit.Kind = plan.LimitKey
	}
	if ofPolicy {
		limit.Shared = "the caller's requests to the APIs of policy " + rights.Scope
	}
}

// setBy names the policies of a session that have a limit, or the key.
func (e *explainer) setBy(session *localcopy.Session, caller *localcopy.Caller, has func(localcopy.Policy) bool) string {
	var names []string
	for _, id := range session.Policies {
		if p, known := e.copy.Policies[id]; known && has(p) {
			names = append(names, id)
		}
	}
	switch len(names) {
	case 0:
		return "key " + caller.Name
	case 1:
		return "policy " + names[0]
	}
	return "policies " + strings.Join(names, ", ")
}
