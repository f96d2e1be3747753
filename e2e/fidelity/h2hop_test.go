package fidelity_test

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/meshpass/meshpass/shared/identity"
)

// TestHTTP2Workload has a workload that speaks HTTP/2, as all of gRPC do: there
// a path is a field and no part of a line.
func TestHTTP2Workload(t *testing.T) {
	r := newRig(t, fromIstiod("{name: http, number: 8080, protocol: HTTP}", "{name: http2, number: 8080, protocol: HTTP2}"))
	e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
	t.Run("paths", e.testPaths)
	t.Run("random HTTP 2", e.testRandomHTTP2)
	t.Run("trailers", func(t *testing.T) { e.testTrailers(t, []string{"1"}) })
}

// testTrailers sends names of ours and another one behind a body. Trailers come after the decision, so
// that only the Envoy itself can keep ours from the workload (manifests/istio/trailers.yaml).
func (e *alone) testTrailers(t *testing.T, otherArrives []string) {
	s := e.openStream(t, usual("POST", "/a"), false)
	must(t, s.framer.WriteData(1, false, []byte("hello")))
	must(t, s.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, EndHeaders: true, EndStream: true,
		BlockFragment: encode(t, fields{"x-meshpass-sub", "root", "x.meshpass~sub", "root", "txn-token", "a.b.c", "txn_token", "a.b.c", "x-other", "1"}),
	}))
	head, ok := s.next(t).(*http2.MetaHeadersFrame)
	if !ok {
		t.Fatal("no answer")
	}
	status, err := strconv.Atoi(head.PseudoValue("status"))
	must(t, err)
	asked, arrived := e.views(t, reply{status: status}).passed(t)
	equal(t, "seen", asked.GetHeaders()["x-meshpass-sub"], "")
	equalLists(t, "another trailer", arrived.values("x-other"), otherArrives)
	for _, field := range arrived.fields {
		if name, _, _ := strings.Cut(field, ":"); identity.IsReservedHeader(name) {
			t.Errorf("%q arrived", name)
		}
	}
}
