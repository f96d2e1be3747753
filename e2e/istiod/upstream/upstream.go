// Package upstream rewrites the listeners that Istio makes for a waypoint, so
// that upstream's Envoy takes them.
//
// The settings of package settings keep Istio's private extensions out of
// sidecars and gateways. A waypoint's listeners hold more, for which Istio has
// no switch. The list of changes is closed: anything else that an Envoy rejects
// fails the run.
package upstream

import (
	"bytes"
	"slices"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"istio.io/istio/pilot/pkg/model"
)

// metadataFilters pass the peers' workload metadata to Istio's telemetry, and
// nothing else.
var metadataFilters = []string{"waypoint_downstream_peer_metadata", "waypoint_upstream_peer_metadata"}

// Both make a filter state out of a text, by which a listener can be chosen.
// The names have one length, so that one can take the other's place in the
// encoded message without a length prefix around it becoming wrong.
var (
	istiosKey = []byte("istio.hashable_string")
	envoysKey = []byte("envoy.hashable_string")
)

// Listeners wraps the generator of listeners.
func Listeners(istios model.XdsResourceGenerator) model.XdsResourceGenerator {
	return generator{istios}
}

type generator struct{ istios model.XdsResourceGenerator }

func (g generator) Generate(proxy *model.Proxy, w *model.WatchedResource, r *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	resources, details, err := g.istios.Generate(proxy, w, r)
	for _, resource := range resources {
		if err == nil {
			resource.Resource, err = rewrite(resource.Resource)
		}
	}
	return resources, details, err
}

func rewrite(resource *anypb.Any) (*anypb.Any, error) {
	var l listener.Listener
	if err := resource.UnmarshalTo(&l); err != nil {
		return nil, err
	}
	for _, chain := range l.GetFilterChains() {
		for _, filter := range chain.GetFilters() {
			if err := dropMetadata(filter.GetTypedConfig()); err != nil {
				return nil, err
			}
		}
	}
	out, err := anypb.New(&l)
	if err == nil {
		out.Value = bytes.ReplaceAll(out.Value, istiosKey, envoysKey)
	}
	return out, err
}

// dropMetadata takes the filters out, if config is an HTTP connection manager's.
func dropMetadata(config *anypb.Any) error {
	var manager hcm.HttpConnectionManager
	if !config.MessageIs(&manager) {
		return nil
	}
	if err := config.UnmarshalTo(&manager); err != nil {
		return err
	}
	manager.HttpFilters = slices.DeleteFunc(manager.HttpFilters, func(f *hcm.HttpFilter) bool {
		return slices.Contains(metadataFilters, f.GetName())
	})
	return config.MarshalFrom(&manager)
}
