package fidelity_test

import (
	"strings"
	"testing"
)

// testPaths: what is seen arrives, whatever is sent.
func (e *alone) testPaths(t *testing.T) {
	for _, s := range spellings {
		t.Run(name(s.sent), func(t *testing.T) { e.testSpelling(t, s.sent, s.seen) })
	}
}

func (e *alone) testSpelling(t *testing.T, sent, seen string) {
	v := e.try(t, request(sent))
	if seen == "" {
		v.checkEnded(t, 400)
		return
	}
	asked, arrived := v.passed(t)
	equal(t, sent+", seen", asked.GetPath(), seen)
	equal(t, sent+", :path", asked.GetHeaders()[":path"], seen)
	equal(t, sent+", arrived", arrived.target(), seen)
}

// name is a spelling as the name of a test: there "/" would begin a level of its own.
func name(spelling string) string { return strings.ReplaceAll(spelling, "/", "∕") }

// A request has no route if it is in absolute form without a path but with a
// query: it ends at Envoy without a Check.
func (e *alone) testNoRoute(t *testing.T) {
	e.try(t, request("http://other.example?a")).checkEnded(t, 404)
}
