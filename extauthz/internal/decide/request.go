package decide

import (
	"errors"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Request is a request and its connection, as a proxy saw them.
type Request struct {
	Source, Destination string // names in the TLS certificates of both sides; empty: no TLS, or a waypoint
	Address             string // IP address that was called
	Port                uint32 // port that was called
	HTTP                *HTTP  // nil: raw TCP
}

// HTTP is the request itself.
type HTTP struct {
	Method  string
	Path    string // with the query, as the proxy forwards it
	Host    string
	Headers Headers // pseudo-headers too, if the proxy lists them
}

// headers are empty for raw TCP.
func (r *Request) headers() Headers {
	if r.HTTP == nil {
		return Headers{}
	}
	return r.HTTP.Headers
}

// Reading is what rules see of a request.
type Reading struct {
	Request policy.Request
	// Deny is why the request cannot be decided. Empty: it can.
	Deny decision.Reason

	headers   Headers
	nameError error // why the name of a peer is invalid
}

// ReadRequest never fails: a request that does not fit gets a reason to deny it. It
// fills as much as it can, because the audit record of a denial needs the same fields.
func ReadRequest(r *Request, peers Peers, now time.Time) Reading {
	reading := readRequest(r, peers, now)
	reading.Request.Headers = reading.headers.joinValues()
	return reading
}

// readRequest is [ReadRequest] without the headers that rules see.
func readRequest(r *Request, peers Peers, now time.Time) (reading Reading) {
	reading.headers = r.headers()
	request := &reading.Request
	request.Now, request.Port = now, r.Port
	fullPath := ""
	if r.HTTP != nil {
		fullPath = r.HTTP.Path
		request.Method, request.Path, request.Host = r.HTTP.Method, withoutQuery(fullPath), hostOf(r.HTTP)
	}
	reading.namePeers(r, peers)
	switch {
	case r.HTTP == nil:
		reading.Deny = decision.NoHTTP // with the gRPC provider, Istio asks for every connection
	case reading.nameError != nil:
		reading.Deny = decision.BadPrincipal
	case request.Callee == "":
		reading.Deny = decision.NoCallee // plaintext under PERMISSIVE, or an address that no Service has
	case !reading.headers.areRemovable():
		reading.Deny = decision.AmbiguousHeader
	case reading.headers.anyDiffers(pathHeader, fullPath):
		reading.Deny = decision.AmbiguousPath
	}
	return reading
}

// Token gives the token of the request, or the reason why there is no token to verify.
func (r *Reading) Token() (raw string, missing decision.Reason) { return r.headers.findToken() }

// namePeers finds the names of both sides. A name that is known is kept even if the
// other one is not.
func (r *Reading) namePeers(request *Request, peers Peers) {
	var callerErr, calleeErr error
	if r.Request.NoCaller = peers.NoCaller; !peers.NoCaller {
		r.Request.Caller, callerErr = peers.Caller(request)
	}
	r.Request.Callee, calleeErr = peers.Callee(request)
	r.nameError = errors.Join(callerErr, calleeErr)
}

// withoutQuery cuts the query off and does nothing else. url.Parse would read
// "//admin/x" as a host (CVE-2026-26205), and decoding here would be a second
// decoding after Envoy's. A "#" stays in: the policy calls it ambiguous.
func withoutQuery(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// hostOf gives the host. If the fields that hold it differ, it gives all of them, joined
// as Envoy joins several: such a host is ambiguous wherever it matters.
func hostOf(http *HTTP) string {
	for _, name := range []string{authorityHeader, hostHeader} {
		if http.Headers.anyDiffers(name, http.Host) {
			return strings.Join(append([]string{http.Host}, http.Headers.valuesOf(name)...), ",")
		}
	}
	return http.Host
}
