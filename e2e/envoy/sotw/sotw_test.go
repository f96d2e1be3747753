package sotw

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// script is a stream with a fixed list of requests.
type script struct {
	requests []*discovery.DiscoveryRequest
	answers  []string // type and nonce of each answer
}

func (s *script) Recv() (*discovery.DiscoveryRequest, error) {
	if len(s.requests) == 0 {
		return nil, io.EOF
	}
	r := s.requests[0]
	s.requests = s.requests[1:]
	return r, nil
}

func (s *script) Send(r *discovery.DiscoveryResponse) error {
	s.answers = append(s.answers, r.TypeUrl+" "+r.Nonce)
	return nil
}

func newRequest(typeURL, nonce string, names ...string) *discovery.DiscoveryRequest {
	return &discovery.DiscoveryRequest{TypeUrl: typeURL, ResponseNonce: nonce, ResourceNames: names}
}

func newRejection(typeURL, nonce string) *discovery.DiscoveryRequest {
	r := newRequest(typeURL, nonce, "other")
	r.ErrorDetail = &rpc.Status{Message: "bad"}
	return r
}

func TestServe(t *testing.T) {
	for name, row := range map[string]struct {
		requests []*discovery.DiscoveryRequest
		answers  []string
	}{
		"a first request is answered":      {requests: listRequests(newRequest("A", "")), answers: []string{"A 1"}},
		"an acknowledgement is not":        {requests: listRequests(newRequest("A", "", "x"), newRequest("A", "1", "x")), answers: []string{"A 1"}},
		"other names are":                  {requests: listRequests(newRequest("A", "", "x"), newRequest("A", "1", "x", "y")), answers: []string{"A 1", "A 2"}},
		"types are apart":                  {requests: listRequests(newRequest("A", ""), newRequest("B", ""), newRequest("A", "1")), answers: []string{"A 1", "B 2"}},
		"an overtaken request is left out": {requests: listRequests(newRequest("A", "", "x"), newRequest("A", "1", "y"), newRequest("A", "1", "z")), answers: []string{"A 1", "A 2"}},
		"a rejection is not answered":      {requests: listRequests(newRequest("A", "", "x"), newRejection("A", "1")), answers: []string{"A 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{requests: row.requests}
			err := ServeStream(s, func(*core.Node, string, []string) ([]*anypb.Any, error) { return nil, nil }, slog.New(slog.DiscardHandler))
			if err != nil || !slices.Equal(s.answers, row.answers) {
				t.Errorf("answered %q, %v; want %q", s.answers, err, row.answers)
			}
		})
	}
}

func listRequests(r ...*discovery.DiscoveryRequest) []*discovery.DiscoveryRequest { return r }

// Envoy sends its node in the first request of a stream only.
func TestNodeIsRemembered(t *testing.T) {
	first := newRequest("A", "")
	first.Node = &core.Node{Id: "orders"}
	var seen []string
	s := &script{requests: listRequests(first, newRequest("B", ""))}
	err := ServeStream(s, func(n *core.Node, _ string, _ []string) ([]*anypb.Any, error) {
		seen = append(seen, n.GetId())
		return nil, nil
	}, slog.New(slog.DiscardHandler))
	if err != nil || !slices.Equal(seen, []string{"orders", "orders"}) {
		t.Errorf("saw %q, %v", seen, err)
	}
}

func TestUnanswerableEndsTheStream(t *testing.T) {
	s := &script{requests: listRequests(newRequest("A", ""))}
	err := ServeStream(s, func(*core.Node, string, []string) ([]*anypb.Any, error) {
		return nil, errors.New("no such workload")
	}, slog.New(slog.DiscardHandler))
	if status.Code(err) != codes.FailedPrecondition || len(s.answers) != 0 {
		t.Errorf("got %v and %q", err, s.answers)
	}
}
