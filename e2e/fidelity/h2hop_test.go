package fidelity_test

import (
	"strconv"
	"testing"

	"golang.org/x/net/http2"
)

// TestHTTP2Workload has a workload that speaks HTTP/2, as all of gRPC do: there
// a path is a field and no part of a line.
func TestHTTP2Workload(t *testing.T) {
	r := newRig(t, fromIstiod("{name: http, number: 8080, protocol: HTTP}", "{name: http2, number: 8080, protocol: HTTP2}"))
	e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
	t.Run("paths", e.testPaths)
	t.Run("random HTTP 2", e.testRandomHTTP2)
	// Trailers come after the decision, and no authorizer can take one away.
	t.Run("trailers arrive", func(t *testing.T) { e.testTrailers(t, []string{"root"}) })
}

// testTrailers sends a name of ours behind a body, and wants what arrives of it.
func (e *alone) testTrailers(t *testing.T, arrive []string) {
	s := e.openStream(t, usual("POST", "/a"), false)
	must(t, s.framer.WriteData(1, false, []byte("hello")))
	must(t, s.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: encode(t, fields{"x-meshpass-sub", "root"}), EndHeaders: true, EndStream: true,
	}))
	head, ok := s.next(t).(*http2.MetaHeadersFrame)
	if !ok {
		t.Fatal("no answer")
	}
	status, err := strconv.Atoi(head.PseudoValue("status"))
	must(t, err)
	asked, arrived := e.views(t, reply{status: status}).passed(t)
	equal(t, "seen", asked.GetHeaders()["x-meshpass-sub"], "")
	equalLists(t, "arrived", arrived.values("x-meshpass-sub"), arrive)
}
