package fidelity_test

import (
	"strings"
	"testing"
)

// testPaths: what Envoy leaves in a path and a server may read in two ways is
// refused, whatever the rules are; all else arrives as it was decided.
func (h *hop) testPaths(t *testing.T) {
	for _, s := range spellings {
		t.Run(name(s.sent), func(t *testing.T) {
			o := h.try(t, request(s.sent))
			if s.seen == "" {
				equal(t, "records", len(o.records), 0)
				equal(t, "arrivals", len(o.arrived), 0)
				return
			}
			r := o.decision(t)
			path, _, _ := strings.Cut(s.seen, "?")
			equal(t, "decided", r.Path, path)
			if s.refused {
				equal(t, "reason", r.Reason, "ambiguous_path")
			} else {
				equal(t, "reason", r.Reason, "rule_allowed")
			}
		})
	}
}

// testDodges: no spelling of what a deny rule names gets around it.
func (h *hop) testDodges(t *testing.T) {
	const denied, ambiguous, open = "rule_denied", "ambiguous_path", "rule_allowed"
	for _, row := range []struct{ path, reason string }{
		{"/admin", denied},
		{"/admin/", denied},
		{"/admin?x", denied},
		{"/admin#x", denied},
		{"/admin?/../a", denied},
		{"/a/../admin", denied},
		{"/a/..;x=y/admin", denied},
		{"/a/%2e%2e/admin", denied},
		{"/./admin", denied},
		{`\admin`, ""},
		{`/a\..\admin`, denied},
		{"/%61dmin", denied},
		{"/adm%69n/users", denied},
		{"http://other.example/admin", denied},
		{"/caf%C3%A9", denied},
		{"/caf%c3%a9", denied},
		{"/my%20docs/a", denied},
		{`/a\..\my%20docs/a`, denied},
		{"/cafe", open},
		{"/my+docs/a", open},
		{"/admin%2fusers", ambiguous},
		{"/admin%5Cusers", ambiguous},
		{"/a/..%2fadmin", ambiguous},
		{"/admin%00", ""},
		{"/admin%0a", ambiguous},
		{"/admin;x=y", ambiguous},
		{"/admin;/users", ambiguous},
		{"/admin%3Bx=y", ambiguous},
		{"/admin%3b/users", ambiguous},
		{"/a/..%3Badmin", ambiguous},
		{"/a/..%3B/admin", ambiguous},
		{"/admin%3Fx", ambiguous},
		{"/admin%23x", ambiguous},
		{"/admin%20", ambiguous},
		{"/%20admin/users", ambiguous},
		{"//admin", ambiguous},
		{`/\admin`, ambiguous},
		{"/admin//users", ambiguous},
		{"/%2561dmin", ambiguous},
		{"/%u0061dmin", ambiguous},
		{"/%c1%a1dmin", ambiguous},
		// Other names, unless a server treats them as one: a server that folds case or
		// trims dots needs a rule for what it takes them to be.
		{"/Admin", open},
		{"/admin.", open},
		{"/admin%c2%a0", open},
	} {
		t.Run(name(row.path), func(t *testing.T) {
			o := h.try(t, request(row.path))
			if row.reason == "" {
				equal(t, "status", o.reply.status, 400)
				equal(t, "arrivals", len(o.arrived), 0)
				return
			}
			equal(t, "reason", o.decision(t).Reason, row.reason)
		})
	}
	t.Run("a method in lower case", h.testMethodCase)
	t.Run("a caller in capitals", h.testCallerInCapitals)
}

// testMethodCase: HTTP/2 carries a method in any case, and there are servers to
// which delete is DELETE.
func (h *hop) testMethodCase(t *testing.T) {
	for method, reason := range map[string]string{"DELETE": "rule_denied", "VERSION-CONTROL": "rule_denied", "M-SEARCH": "rule_allowed", "delete": "ambiguous_method", "Get": "ambiguous_method", "PROPFIND": "rule_allowed"} {
		h.h2(t, usual(method, "/orders"))
		r := h.outcome(t, reply{}).decision(t)
		equal(t, method, r.Reason, reason)
		equal(t, "decided", r.Method, method)
	}
}

// testCallerInCapitals: a workload that Kubernetes would not name so is denied by its name.
func (h *hop) testCallerInCapitals(t *testing.T) {
	for account, reason := range map[string]string{"My_Job": "rule_denied", "my-job": "rule_allowed"} {
		caller := h.caller
		caller.Namespace, caller.ServiceAccount = "shop", account
		other := *h.rig
		other.identity = certificateOf(t, h.ca, caller)
		equal(t, account, h.outcome(t, other.one(t, request("/orders"))).decision(t).Reason, reason)
	}
}
