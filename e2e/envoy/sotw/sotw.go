// Package sotw answers Envoy's discovery requests in the "state of the world"
// variant of xDS, for servers whose answers never change.
//
// On one stream Envoy asks for several types. Each answer has a nonce, and Envoy sends it
// back: with an error if it rejected the answer, with other names if it wants others, and
// otherwise to acknowledge the answer. Only the first request of a type and one with other
// names are answered: an answer to an acknowledgement would start a loop.
package sotw

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// Answer returns the resources of a type for a node: those with the given names, or all if
// there are no names. An error ends the stream.
type Answer func(node *core.Node, typeURL string, names []string) ([]*anypb.Any, error)

// Stream is the server's side of any discovery service's stream.
type Stream interface {
	Send(*discovery.DiscoveryResponse) error
	Recv() (*discovery.DiscoveryRequest, error)
}

// ServeStream answers one stream until the Envoy closes it.
func ServeStream(stream Stream, answer Answer, log *slog.Logger) error {
	c := conversation{stream: stream, answer: answer, log: log, answers: map[string]lastAnswer{}}
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.handleRequest(request); err != nil {
			return err
		}
	}
}

type conversation struct {
	stream      Stream
	answer      Answer
	log         *slog.Logger
	node        *core.Node // Envoy names itself in the first request only
	answers     map[string]lastAnswer
	answerCount int
}

// lastAnswer is the last answer for a type.
type lastAnswer struct {
	nonce string
	names []string
}

func (c *conversation) handleRequest(r *discovery.DiscoveryRequest) error {
	if r.Node != nil {
		c.node = r.Node
	}
	if r.ErrorDetail != nil {
		c.log.Error("Envoy rejected its configuration",
			"node", c.node.GetId(), "type", r.TypeUrl, "error", r.ErrorDetail.GetMessage())
		return nil
	}
	last, asked := c.answers[r.TypeUrl]
	if asked && (r.ResponseNonce != last.nonce || slices.Equal(r.ResourceNames, last.names)) {
		return nil
	}
	return c.sendAnswer(r)
}

func (c *conversation) sendAnswer(r *discovery.DiscoveryRequest) error {
	resources, err := c.answer(c.node, r.TypeUrl, r.ResourceNames)
	if err != nil {
		c.log.Error("cannot answer an Envoy", "node", c.node.GetId(), "type", r.TypeUrl, "error", err)
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	c.answerCount++
	nonce := strconv.Itoa(c.answerCount)
	c.answers[r.TypeUrl] = lastAnswer{nonce, r.ResourceNames}
	return c.stream.Send(&discovery.DiscoveryResponse{
		VersionInfo: nonce, Nonce: nonce, TypeUrl: r.TypeUrl, Resources: resources,
	})
}
