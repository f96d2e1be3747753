package upstream_test

import (
	"errors"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	sfsvalue "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	sfs "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/set_filter_state/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"istio.io/istio/pilot/pkg/model"

	"github.com/meshpass/meshpass/e2e/istiod/upstream"
)

// fixed is a generator that always makes the same.
type fixed struct {
	resource *anypb.Any
	err      error
}

func (f fixed) Generate(*model.Proxy, *model.WatchedResource, *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	return model.Resources{&discovery.Resource{Name: "l", Resource: f.resource}}, model.XdsLogDetails{}, f.err
}

func generate(f fixed) (*anypb.Any, error) {
	resources, _, err := upstream.Listeners(f).Generate(nil, nil, nil)
	return resources[0].Resource, err
}

func encoded(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	out, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// aListener has HTTP filters of these names. Each sets a filter state by a
// factory, three messages deep.
func aListener(t *testing.T, factory string, filters ...string) *anypb.Any {
	t.Helper()
	manager := &hcm.HttpConnectionManager{StatPrefix: "s"}
	for _, name := range filters {
		state := &sfs.Config{OnRequestHeaders: []*sfsvalue.FilterStateValue{{FactoryKey: factory}}}
		manager.HttpFilters = append(manager.HttpFilters, &hcm.HttpFilter{
			Name: name, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: encoded(t, state)},
		})
	}
	return encoded(t, &listener.Listener{
		Name: "l",
		FilterChains: []*listener.FilterChain{{Filters: []*listener.Filter{
			{Name: "hcm", ConfigType: &listener.Filter_TypedConfig{TypedConfig: encoded(t, manager)}},
		}}},
	})
}

func TestListeners(t *testing.T) {
	for name, row := range map[string]struct{ istios, want *anypb.Any }{
		"a waypoint's": {
			aListener(t, "istio.hashable_string", "waypoint_downstream_peer_metadata", "connect_authority", "waypoint_upstream_peer_metadata", "router"),
			aListener(t, "envoy.hashable_string", "connect_authority", "router"),
		},
		"a sidecar's stays": {
			aListener(t, "envoy.string", "rbac", "router"),
			aListener(t, "envoy.string", "rbac", "router"),
		},
		"what else Istio has of its own stays, for Envoy to refuse": {
			aListener(t, "istio.other", "istio_authn"),
			aListener(t, "istio.other", "istio_authn"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := generate(fixed{resource: row.istios})
			if err != nil {
				t.Fatal(err)
			}
			var g, w listener.Listener
			if err := errors.Join(got.UnmarshalTo(&g), row.want.UnmarshalTo(&w)); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(&g, &w) {
				t.Errorf("got  %v\nwant %v", &g, &w)
			}
		})
	}
}

func TestFaultsArePassedOn(t *testing.T) {
	cause := errors.New("no")
	if _, err := generate(fixed{aListener(t, ""), cause}); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if _, err := generate(fixed{resource: encoded(t, &hcm.HttpConnectionManager{})}); err == nil {
		t.Error("a manager was taken for a listener")
	}
}
