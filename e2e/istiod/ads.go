package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
	"istio.io/istio/pilot/test/xdstest"
)

const fetchTimeout = 30 * time.Second

// fetch asks for all that a proxy asks for, and returns a proxyConfig or a
// ztunnelConfig.
func fetch(ctx context.Context, addr string, node *core.Node) (any, error) {
	ctx, end := context.WithTimeout(ctx, fetchTimeout)
	defer end()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	client, size := discovery.NewAggregatedDiscoveryServiceClient(conn), grpc.MaxCallRecvMsgSize(64<<20)
	if isZtunnel(node) {
		stream, err := client.DeltaAggregatedResources(as(ctx, node), size)
		if err != nil {
			return nil, err
		}
		return ztunnelStream{stream, node}.run()
	}
	stream, err := client.StreamAggregatedResources(as(ctx, node), size)
	if err != nil {
		return nil, err
	}
	return conversation{stream, node}.run()
}

type conversation struct {
	stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesClient
	node   *core.Node
}

// run asks as an Envoy does: for all clusters and listeners, then for the
// endpoints and routes that those name.
func (c conversation) run() (proxyConfig, error) {
	clusters, err := ask[cluster.Cluster](c, v3.ClusterType, nil)
	if err != nil {
		return proxyConfig{}, err
	}
	endpoints, err := ask[endpoint.ClusterLoadAssignment](c, v3.EndpointType, xdstest.ExtractEdsClusterNames(clusters))
	if err != nil {
		return proxyConfig{}, err
	}
	listeners, err := ask[listener.Listener](c, v3.ListenerType, nil)
	if err != nil {
		return proxyConfig{}, err
	}
	routes, err := ask[route.RouteConfiguration](c, v3.RouteType, routeNames(listeners))
	if err != nil {
		return proxyConfig{}, err
	}
	out := proxyConfig{
		Clusters:  encodeAll(clusters, (*cluster.Cluster).GetName, &err),
		Endpoints: encodeAll(endpoints, (*endpoint.ClusterLoadAssignment).GetClusterName, &err),
		Listeners: encodeAll(listeners, (*listener.Listener).GetName, &err),
		Routes:    encodeAll(routes, (*route.RouteConfiguration).GetName, &err),
	}
	return out, err
}

// routeNames has each name once: several filter chains share a route table.
func routeNames(listeners []*listener.Listener) []string {
	names := xdstest.ExtractRoutesFromListeners(listeners)
	slices.Sort(names)
	return slices.Compact(names)
}

// message is a pointer to T that is a proto.
type message[T any] interface {
	*T
	proto.Message
}

// ask returns the resources of one type. Names matter to endpoints and
// routes alone: nil means all, and an empty list that there is nothing to ask for.
func ask[T any, M message[T]](c conversation, typeURL string, names []string) ([]M, error) {
	if names != nil && len(names) == 0 {
		return nil, nil
	}
	request := &discovery.DiscoveryRequest{Node: c.node, TypeUrl: typeURL, ResourceNames: names}
	if err := c.stream.Send(request); err != nil {
		return nil, fmt.Errorf("asking for %s: %w", typeURL, err)
	}
	for {
		response, err := c.stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", typeURL, err)
		}
		if response.TypeUrl == typeURL { // else a push of a type asked for before
			return decode[T, M](response.Resources)
		}
	}
}

func decode[T any, M message[T]](resources []*anypb.Any) ([]M, error) {
	var out []M
	for _, resource := range resources {
		m := M(new(T))
		if err := resource.UnmarshalTo(m); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// encodeAll sorts by name; the first fault is kept in err.
func encodeAll[M proto.Message](resources []M, name func(M) string, err *error) []json.RawMessage {
	slices.SortFunc(resources, func(a, b M) int { return cmp.Compare(name(a), name(b)) })
	out := []json.RawMessage{}
	for _, r := range resources {
		data, fault := encode(r)
		out, *err = append(out, data), cmp.Or(*err, fault)
	}
	return out
}
