package check

import (
	"errors"
	"slices"
	"strings"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/extauthz/internal/peers"
	"github.com/meshpass/meshpass/extauthz/internal/xfcc"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// question is a Check in plain values: what is asked, by whom, of whom.
type question struct {
	policy.Request
	headers headers
	// refusal is why the question cannot be judged at all; empty when it can.
	refusal decision.Reason
	unnamed error // why a peer's name cannot be one
}

// read never fails: what does not fit is a refusal. It fills as much as it can,
// because the audit record of a refusal needs the same fields.
func read(req *auth.CheckRequest, sides peers.Peers, now time.Time) question {
	attributes := req.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	q := question{headers: readHeaders(http)}
	q.Now = now
	q.Method, q.Host = http.GetMethod(), hostOf(http, q.headers)
	q.Path = pathOf(http.GetPath())
	q.Port = attributes.GetDestination().GetAddress().GetSocketAddress().GetPortValue()
	q.Headers = q.headers.joined()

	q.name(sides, peers.Seen{
		Source: attributes.GetSource().GetPrincipal(), Destination: attributes.GetDestination().GetPrincipal(),
		Address: attributes.GetDestination().GetAddress().GetSocketAddress().GetAddress(), Port: q.Port,
		XFCC: q.headers.values[xfcc.Header],
	})
	switch {
	case http == nil:
		q.refusal = decision.NoHTTP // raw TCP: with the gRPC provider, Istio asks for every connection
	case q.unnamed != nil:
		q.refusal = decision.BadPrincipal
	case q.Callee == "":
		q.refusal = decision.NoCallee // plaintext under PERMISSIVE, or no Service's address: nobody can say who was called
	case !q.headers.removable():
		q.refusal = decision.AmbiguousHeader
	case disagree(q.headers.values[":path"], http.GetPath()):
		q.refusal = decision.AmbiguousPath
	}
	return q
}

// name finds both sides; who is known is kept even where the other is not.
func (q *question) name(sides peers.Peers, seen peers.Seen) {
	var callerErr, calleeErr error
	if q.NoCaller = sides.NoCaller; !q.NoCaller {
		q.Caller, callerErr = sides.Caller(seen)
	}
	q.Callee, calleeErr = sides.Callee(seen)
	q.unnamed = errors.Join(callerErr, calleeErr)
}

// pathOf cuts the query off and does nothing else. url.Parse would read
// "//admin/x" as a host (CVE-2026-26205), and decoding here would be a second
// decoding after Envoy's. A "#" stays in: the policy calls it ambiguous.
func pathOf(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// hostOf gives the host, or, where the places that hold it differ, all of them as Envoy joins
// several: such a host is ambiguous wherever it matters.
func hostOf(http *auth.AttributeContext_HttpRequest, h headers) string {
	host := http.GetHost()
	for _, name := range []string{":authority", "host"} {
		if disagree(h.values[name], host) {
			return strings.Join(append([]string{host}, h.values[name]...), ",")
		}
	}
	return host
}

// disagree reports that the places which hold the path differ. Envoy fills both
// from one value, so one of them is not what the workload will see.
func disagree(pseudo []string, path string) bool {
	return slices.ContainsFunc(pseudo, func(p string) bool { return p != path })
}
