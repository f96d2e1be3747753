package main

import (
	"context"
	"fmt"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/metadata"
	"istio.io/istio/pkg/security"
)

// identityKey is the gRPC metadata with the SPIFFE id of an Envoy's workload, from its bootstrap.
const identityKey = "meshpass-identity"

// claimed accepts the identity that each Envoy claims. A cluster's istiod requires a certificate or a service
// account's token: every Envoy here is the run's own, on loopback. Istio gives the certificates that
// a gateway's Secrets hold to nobody without an identity.
type claimed struct{}

func (claimed) AuthenticatorType() string { return "claimed" }

func (claimed) Authenticate(c security.AuthContext) (*security.Caller, error) {
	incoming, _ := metadata.FromIncomingContext(c.GrpcContext)
	ids := incoming.Get(identityKey)
	if len(ids) == 0 {
		return nil, fmt.Errorf("no %s in the metadata of the call", identityKey)
	}
	return &security.Caller{Identities: ids}, nil
}

// as is the context in which a node's own Envoy would call.
func as(ctx context.Context, node *core.Node) context.Context {
	fields := node.GetMetadata().GetFields()
	ns, sa := fields["NAMESPACE"].GetStringValue(), fields["SERVICE_ACCOUNT"].GetStringValue()
	return metadata.AppendToOutgoingContext(ctx, identityKey, "spiffe://cluster.local/ns/"+ns+"/sa/"+sa)
}
