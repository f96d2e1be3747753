package routes

import (
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// Explained is what the gateways of the input do with requests.
type Explained struct {
	Requests  []Explanation       `json:"requests"`
	Notes     []string            `json:"notes"`
	Unchecked []objects.Unchecked `json:"unchecked"`
}

// Explanation is what a gateway does with a request.
type Explanation struct {
	Method          string           `json:"method"`
	Host            string           `json:"host,omitempty"`
	Target          string           `json:"target"`
	Outcome         tykroute.Outcome `json:"outcome"`
	API             string           `json:"api,omitempty"`
	Serving         string           `json:"serving,omitempty"`
	Status          int              `json:"status,omitempty"`
	Location        string           `json:"location,omitempty"`
	Reason          string           `json:"reason,omitempty"`
	Alias           bool             `json:"alias,omitempty"`
	Unauthenticated bool             `json:"unauthenticated,omitempty"`
	Place           *objects.Place   `json:"place,omitempty"`
	Upstreams       []ExplainedHost  `json:"upstreams"`
}

// ExplainedHost is an upstream with its share of the requests.
type ExplainedHost struct {
	URL    string `json:"url"` // scheme and host
	Path   string `json:"path"`
	Query  string `json:"query,omitempty"`
	Method string `json:"method"`
	Host   string `json:"host"`
	Weight int    `json:"weight"`
}

// Explain asks the first gateway that has an API for each request.
func Explain(m *model.Model, requests []tykroute.Request) Explained {
	routers := tykroute.NewRouters(m)
	(&renderer{Model: m}).noteGateways(routers)
	reportProblems(m, routers)
	if len(m.APIs) == 0 {
		m.Set.AddMissing("API definition of Tyk")
	}
	e := Explained{Requests: []Explanation{}}
	for _, request := range requests {
		answer := tykroute.Answer{Outcome: tykroute.Answered, Status: 404, Reason: "no API definition is in the input"}
		for _, router := range routers {
			if answer = router.Route(request); answer.API != nil {
				break
			}
		}
		e.Requests = append(e.Requests, newExplanation(request, answer))
	}
	e.Notes, e.Unchecked = append([]string{}, m.Set.Notes...), m.Set.SortedUnchecked()
	return e
}

func newExplanation(request tykroute.Request, answer tykroute.Answer) Explanation {
	e := Explanation{
		Method: request.Method, Host: request.Host, Target: request.Target, Outcome: answer.Outcome, Status: answer.Status, Location: answer.Location,
		Reason: answer.Reason, Alias: answer.Alias, Unauthenticated: answer.Unauthenticated, Upstreams: []ExplainedHost{},
	}
	if answer.API != nil {
		e.API, e.Serving = answer.API.Title(), answer.Serving.Title()
	}
	if answer.Place != nil {
		place := answer.Place.Place()
		e.Place = &place
	}
	for _, u := range answer.Upstreams {
		e.Upstreams = append(e.Upstreams, ExplainedHost{URL: u.URL.Scheme + "://" + u.URL.Host, Path: u.Path(), Query: hideValues(u.URL.RawQuery, request.Target), Method: u.Method, Host: u.Host, Weight: u.Weight})
	}
	return e
}

// hideValues replaces the values of parameters that the request did not send: the definition's own URL may hold a token.
func hideValues(query, target string) string {
	_, sent, _ := strings.Cut(target, "?")
	parameters := strings.Split(query, "&")
	for i, parameter := range parameters {
		if name, _, found := strings.Cut(parameter, "="); found && !slices.Contains(strings.Split(sent, "&"), parameter) {
			parameters[i] = name + "=…"
		}
	}
	return strings.Join(parameters, "&")
}

// Passes reports whether every request reaches an upstream.
func (e Explained) Passes() bool {
	return !slices.ContainsFunc(e.Requests, func(x Explanation) bool { return x.Outcome != tykroute.Passed })
}

// Print writes the answers for people.
func (e Explained) Print(to io.Writer) error {
	var b strings.Builder
	for _, x := range e.Requests {
		printer.Fprintf(&b, "%s %s%s\n", x.Method, x.Host, x.Target)
		if x.API != "" {
			printer.Fprintf(&b, "  API: %s", x.API)
			if x.Serving != x.API {
				printer.Fprintf(&b, ", served by %s", x.Serving)
			}
			if x.Alias {
				b.WriteString(", under its alias")
			}
			if x.Unauthenticated {
				b.WriteString(", without authentication")
			}
			b.WriteString("\n")
		}
		for _, u := range x.Upstreams {
			printer.Fprintf(&b, "  upstream: %s %s%s", u.Method, u.URL, u.Path)
			if u.Query != "" {
				printer.Fprintf(&b, "?%s", u.Query)
			}
			if len(x.Upstreams) > 1 {
				printer.Fprintf(&b, " (weight %d)", u.Weight)
			}
			b.WriteString("\n")
		}
		if x.Outcome != tykroute.Passed {
			printer.Fprintf(&b, "  %s", x.Outcome)
			if x.Status != 0 {
				printer.Fprintf(&b, " %d", x.Status)
			}
			printer.Fprintf(&b, ": %s\n", x.Reason)
		}
		if x.Location != "" {
			printer.Fprintf(&b, "  location: %s\n", x.Location)
		}
		if x.Place != nil {
			printer.Fprintf(&b, "  at %s\n", x.Place)
		}
	}
	for _, u := range e.Unchecked {
		printer.Fprintf(&b, "%s: not checked: %s\n", u.Place, u.Reason)
	}
	for _, note := range e.Notes {
		printer.Fprintf(&b, "note: %s\n", note)
	}
	_, err := io.WriteString(to, b.String())
	return err
}
