package main

import (
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"istio.io/istio/pilot/pkg/model"
)

// podBound makes listeners that bind every address bind the pod's. A gateway's and a waypoint's do,
// as each has a network namespace of its own; here all pods of all runs share one, those excepted
// whose connections are intercepted.
type podBound struct{ model.XdsResourceGenerator }

func (g podBound) Generate(p *model.Proxy, w *model.WatchedResource, r *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	resources, details, err := g.XdsResourceGenerator.Generate(p, w, r)
	if err != nil || len(p.IPAddresses) == 0 || p.GetInterceptionMode() == model.InterceptionRedirect {
		return resources, details, err
	}
	for i, resource := range resources {
		if resources[i], err = bind(resource, p.IPAddresses[0]); err != nil {
			return nil, details, err
		}
	}
	return resources, details, nil
}

func bind(resource *discovery.Resource, pod string) (*discovery.Resource, error) {
	var l listener.Listener
	if err := resource.Resource.UnmarshalTo(&l); err != nil {
		return nil, err
	}
	socket := l.GetAddress().GetSocketAddress()
	if socket.GetAddress() != "0.0.0.0" {
		return resource, nil
	}
	socket.Address = pod
	bound, err := anypb.New(&l)
	return &discovery.Resource{Name: resource.Name, Resource: bound}, err
}
