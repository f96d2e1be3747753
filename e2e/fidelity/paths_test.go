package fidelity_test

import (
	"strings"
	"testing"
)

// testPaths: what is seen arrives, whatever is sent.
func (e *alone) testPaths(t *testing.T) {
	for _, s := range spellings {
		t.Run(name(s.sent), func(t *testing.T) {
			v := e.try(t, request(s.sent))
			if s.seen == "" {
				v.checkEnded(t, 400)
				return
			}
			asked, arrived := v.passed(t)
			equal(t, "seen", asked.GetPath(), s.seen)
			equal(t, ":path", asked.GetHeaders()[":path"], s.seen)
			equal(t, "arrived", arrived.target(), s.seen)
		})
	}
}

// name is a spelling as the name of a test: there "/" would begin a level of its own.
func name(spelling string) string { return strings.ReplaceAll(spelling, "/", "∕") }

// A request has no route if it is in absolute form without a path but with a
// query: it ends at Envoy without a Check.
func (e *alone) testNoRoute(t *testing.T) {
	e.try(t, request("http://other.example?a")).checkEnded(t, 404)
}
