package main

import (
	"encoding/json"
	"fmt"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pkg/workloadapi"
	"istio.io/istio/pkg/workloadapi/security"
)

// isZtunnel recognises the node proxy of ambient mode by its id. It asks for other
// types than an Envoy, and in the delta variant of xDS alone.
func isZtunnel(node *core.Node) bool { return strings.HasPrefix(node.GetId(), "ztunnel~") }

// ztunnelConfig is one ztunnel's whole configuration: by what it routes, and
// the policies that it enforces.
type ztunnelConfig struct {
	Addresses      []json.RawMessage `json:"addresses"`
	Authorizations []json.RawMessage `json:"authorizations"`
}

type ztunnelStream struct {
	discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	node *core.Node
}

func (s ztunnelStream) run() (ztunnelConfig, error) {
	addresses, err := subscribe[workloadapi.Address](s, v3.AddressType)
	if err != nil {
		return ztunnelConfig{}, err
	}
	policies, err := subscribe[security.Authorization](s, v3.WorkloadAuthorizationType)
	if err != nil {
		return ztunnelConfig{}, err
	}
	out := ztunnelConfig{
		Addresses:      encodeAll(addresses, addressName, &err),
		Authorizations: encodeAll(policies, (*security.Authorization).GetName, &err),
	}
	return out, err
}

// addressName sorts services before workloads.
func addressName(a *workloadapi.Address) string {
	return a.GetService().GetHostname() + "/" + a.GetWorkload().GetUid()
}

// subscribe returns all resources of a type.
func subscribe[T any, M message[T]](s ztunnelStream, typeURL string) ([]M, error) {
	request := &discovery.DeltaDiscoveryRequest{Node: s.node, TypeUrl: typeURL, ResourceNamesSubscribe: []string{"*"}}
	if err := s.Send(request); err != nil {
		return nil, fmt.Errorf("asking for %s: %w", typeURL, err)
	}
	for {
		response, err := s.Recv()
		if err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", typeURL, err)
		}
		if response.TypeUrl != typeURL {
			continue
		}
		var resources []*anypb.Any
		for _, r := range response.Resources {
			resources = append(resources, r.Resource)
		}
		return decode[T, M](resources)
	}
}
