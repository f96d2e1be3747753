package fidelity_test

import (
	"io"
	"net"
	"regexp"
	"strconv"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
)

var decimal = regexp.MustCompile(`^[0-9]+$`)

// testAttributes goes through the whole of a Check.
func (e *alone) testAttributes(t *testing.T) {
	conn := e.dial(t, "http/1.1")
	defer conn.Close()
	_, err := io.WriteString(conn, request("/a?b=1", "x-envoy-downstream-service-cluster: forged"))
	must(t, err)
	eventually(t, "it is asked about", func() bool { return len(e.recorder.seen()) == 1 })
	a := e.recorder.take()[0].GetAttributes()
	e.views(t, reply{}) // leaves nothing for the next test

	source, destination, http := a.GetSource(), a.GetDestination(), a.GetRequest().GetHttp()
	for _, row := range []struct{ what, got, want string }{
		{"source.address", addressOf(source), conn.LocalAddr().String()},
		{"source.principal", source.GetPrincipal(), e.caller.SPIFFE()},
		{"source.service is the client's word", source.GetService(), "forged"},
		{"source.certificate", source.GetCertificate(), ""},
		{"destination.address", addressOf(destination), conn.RemoteAddr().String()},
		{"destination.principal", destination.GetPrincipal(), e.orders.SPIFFE()},
		{"destination.service", destination.GetService(), ""},
		{"http.method", http.GetMethod(), "GET"},
		{"http.path has the query", http.GetPath(), "/a?b=1"},
		{"http.query is never filled", http.GetQuery(), ""},
		{"http.fragment is never filled", http.GetFragment(), ""},
		{"http.host", http.GetHost(), ordersHost},
		{"http.scheme is of the connection", http.GetScheme(), "https"},
		{"http.protocol", http.GetProtocol(), "HTTP/1.1"},
		{"http.body", http.GetBody() + string(http.GetRawBody()), ""},
		{"headers[:authority]", http.GetHeaders()[":authority"], ordersHost},
		{"headers[:method]", http.GetHeaders()[":method"], "GET"},
		{"headers[:path]", http.GetHeaders()[":path"], "/a?b=1"},
		{"headers[:scheme]", http.GetHeaders()[":scheme"], "https"},
		{"headers[x-forwarded-proto]", http.GetHeaders()["x-forwarded-proto"], "https"},
	} {
		equal(t, row.what, row.got, row.want)
	}
	for _, row := range []struct {
		what  string
		holds bool
	}{
		{"http.id is a stream's number, not x-request-id", decimal.MatchString(http.GetId())},
		{"x-request-id is given to a request that has none", http.GetHeaders()["x-request-id"] != ""},
		{"request.time is there", a.GetRequest().GetTime().IsValid()},
		{"http.size is 0 before a body", http.GetSize() == 0},
		{"header_map is never filled", http.GetHeaderMap() == nil},
		{"labels are never filled", len(source.GetLabels())+len(destination.GetLabels()) == 0},
		{"context_extensions are never filled", len(a.GetContextExtensions()) == 0},
		{"metadata_context is empty", proto.Size(a.GetMetadataContext()) == 0},
		{"route_metadata_context is empty", proto.Size(a.GetRouteMetadataContext()) == 0},
		{"tls_session is never filled", a.GetTlsSession() == nil},
	} {
		if !row.holds {
			t.Errorf("%s: it is not so in %v", row.what, a)
		}
	}
}

func addressOf(p *auth.AttributeContext_Peer) string {
	s := p.GetAddress().GetSocketAddress()
	return net.JoinHostPort(s.GetAddress(), strconv.Itoa(int(s.GetPortValue())))
}
