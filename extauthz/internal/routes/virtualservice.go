package routes

import (
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

type virtualServiceSpec struct {
	Hosts    []string   `json:"hosts" yaml:"hosts"`
	Gateways []string   `json:"gateways" yaml:"gateways"`
	HTTP     []*vsRoute `json:"http" yaml:"http"` // the last member: see printObject
}

type vsRoute struct {
	Name           string          `json:"name,omitempty" yaml:"name,omitempty"`
	Match          []vsMatch       `json:"match,omitempty" yaml:"match,omitempty"`
	Rewrite        *vsRewrite      `json:"rewrite,omitempty" yaml:"rewrite,omitempty"`
	Route          []vsDestination `json:"route,omitempty" yaml:"route,omitempty"`
	DirectResponse *vsDirect       `json:"directResponse,omitempty" yaml:"directResponse,omitempty"`
}

type vsMatch struct {
	URI         vsString            `json:"uri" yaml:"uri"`
	Headers     map[string]vsString `json:"headers,omitempty" yaml:"headers,omitempty"`
	QueryParams map[string]vsString `json:"queryParams,omitempty" yaml:"queryParams,omitempty"`
}

type vsString struct {
	Exact  string `json:"exact,omitempty" yaml:"exact,omitempty"`
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	Regex  string `json:"regex,omitempty" yaml:"regex,omitempty"`
}

type vsRewrite struct {
	URI             string   `json:"uri,omitempty" yaml:"uri,omitempty"`
	URIRegexRewrite *vsRegex `json:"uriRegexRewrite,omitempty" yaml:"uriRegexRewrite,omitempty"`
	Authority       string   `json:"authority,omitempty" yaml:"authority,omitempty"`
}

type vsRegex struct {
	Match   string `json:"match" yaml:"match"`
	Rewrite string `json:"rewrite" yaml:"rewrite"`
}

type vsDestination struct {
	Destination struct {
		Host string `json:"host" yaml:"host"`
		Port struct {
			Number int `json:"number" yaml:"number"`
		} `json:"port" yaml:"port"`
	} `json:"destination" yaml:"destination"`
	Weight int `json:"weight,omitempty" yaml:"weight,omitempty"`
}

type vsDirect struct {
	Status int `json:"status" yaml:"status"`
}

// ruleKey is what the route of a rule depends on.
type ruleKey struct {
	api, serving *model.API
	path         tykroute.PathMatch
	condition    *tykroute.Condition
	forwards     bool
}

// renderVirtualServices writes one VirtualService for each table: the order of its routes is that of the rules. Tables share the routes of
// the rules that they share.
func (r *renderer) renderVirtualServices(tables []tykroute.Table) []any {
	var all []any
	made := map[ruleKey]*vsRoute{}
	for _, t := range tables {
		t = t.Whole()
		spec := virtualServiceSpec{Hosts: []string{t.Host}, Gateways: []string{r.options.GatewayNamespace + "/" + r.options.GatewayName}, HTTP: []*vsRoute{}}
		name := t.Host
		if t.Host == "" {
			spec.Hosts, name = []string{"*"}, "all-hosts"
		}
		repeats := newRepeatIndex(t.Rules)
		for i, rule := range t.Rules {
			if repeats.isRepeated(i) {
				continue
			}
			key := ruleKey{rule.API, rule.Serving, rule.Path, rule.Condition, len(rule.Destinations) > 0}
			if made[key] == nil {
				route := r.newVSRoute(rule)
				made[key] = &route
			}
			spec.HTTP = append(spec.HTTP, made[key])
		}
		if len(spec.HTTP) > 0 {
			all = append(all, manifest{"networking.istio.io/v1", "VirtualService", metadata{Name: r.newName(name), Namespace: r.options.Namespace}, spec})
		}
	}
	return all
}

func (r *renderer) newVSRoute(rule tykroute.Rule) vsRoute {
	match := vsMatch{URI: vsString{Exact: rule.Path.Exact, Prefix: rule.Path.Prefix, Regex: rule.Path.Pattern}}
	if c := rule.Condition; c != nil {
		value := map[string]vsString{c.Header + c.Query: {Exact: c.Value}}
		if c.Value == "" {
			value[c.Header+c.Query] = vsString{Regex: ".+"}
		}
		if c.Header != "" {
			match.Headers = value
		} else {
			match.QueryParams = value
		}
	}
	route := vsRoute{Match: []vsMatch{match}}
	if rule.API != nil {
		route.Name = rule.API.Title()
	}
	if len(rule.Destinations) == 0 {
		route.DirectResponse = &vsDirect{Status: 404}
		return route
	}
	rewrite := vsRewrite{}
	switch {
	case rule.Rewrites && rule.Path.Pattern != "":
		rewrite.URIRegexRewrite = &vsRegex{Match: "^" + rule.Path.Pattern + "$", Rewrite: rule.Path.Becomes}
	case rule.Rewrites:
		rewrite.URI = rule.Path.Becomes
	}
	backends := r.backendsOf(rule)
	if len(backends) == 1 && !rule.KeepsHost {
		rewrite.Authority = rule.Destinations[0].URL.Host
	}
	if rewrite != (vsRewrite{}) {
		route.Rewrite = &rewrite
	}
	for _, b := range backends {
		d := vsDestination{}
		d.Destination.Host, d.Destination.Port.Number = b.host, b.port
		if len(backends) > 1 {
			d.Weight = b.weight
		}
		route.Route = append(route.Route, d)
	}
	return route
}

func (r *renderer) backendsOf(rule tykroute.Rule) []backend {
	var all []backend
	for _, d := range rule.Destinations {
		b, _ := r.findBackend(d.URL, r.namespaces[rule.Serving])
		b.weight = d.Weight
		all = append(all, b)
	}
	return all
}
