// Package ads serves the configuration that Istio's control plane would send to Envoys,
// from a checked-in dump. So the demo needs neither istiod nor the minutes to compile it.
// A test compares the dump with the live control plane.
package ads

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshpass/meshpass/e2e/envoy/sotw"
)

// Serve serves the dump on addr until ctx ends or the server is stopped. The dump has one
// file per workload, <name>.json, written for subnet.Template. A prefix such as
// "127.80.3." replaces that template.
func Serve(ctx context.Context, addr string, dump fs.FS, prefix string, log *slog.Logger) (*sotw.Server, error) {
	proxies, err := loadDump(dump, prefix)
	if err != nil {
		return nil, err
	}
	return sotw.Listen(ctx, addr, func(g *grpc.Server) {
		discovery.RegisterAggregatedDiscoveryServiceServer(g, &service{proxies: proxies, log: log})
	}, log)
}

type service struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	proxies map[string]proxy
	log     *slog.Logger
}

func (s *service) StreamAggregatedResources(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return sotw.ServeStream(stream, s.answerRequest, s.log)
}

func (s *service) answerRequest(node *core.Node, typeURL string, names []string) ([]*anypb.Any, error) {
	workload := node.GetMetadata().GetFields()["WORKLOAD_NAME"].GetStringValue()
	p, ok := s.proxies[workload]
	if !ok {
		return nil, fmt.Errorf("the dump knows no workload %q: run make dump", workload)
	}
	if len(names) == 0 {
		return slices.Collect(maps.Values(p[typeURL])), nil
	}
	var out []*anypb.Any
	for _, name := range names {
		resource, ok := p[typeURL][name]
		if !ok {
			return nil, fmt.Errorf("the dump of %s has no %s named %q: run make dump", workload, typeURL, name)
		}
		out = append(out, resource)
	}
	return out, nil
}
