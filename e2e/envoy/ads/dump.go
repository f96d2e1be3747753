package ads

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshpass/meshpass/internal/subnet"
)

const typePrefix = "type.googleapis.com/"

// proxy holds the resources of one workload, by type URL and then by name.
type proxy map[string]map[string]*anypb.Any

// proxyFile is a file as `istiod dump` writes it.
type proxyFile struct {
	Clusters  []json.RawMessage `json:"clusters"`
	Endpoints []json.RawMessage `json:"endpoints"`
	Listeners []json.RawMessage `json:"listeners"`
	Routes    []json.RawMessage `json:"routes"`
}

// loadDump reads all <workload>.json of a dump, with the addresses of a prefix.
func loadDump(dump fs.FS, prefix string) (map[string]proxy, error) {
	files, err := fs.Glob(dump, "*.json")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("the dump holds no *.json: run make dump")
	}
	proxies := map[string]proxy{}
	for _, name := range files {
		data, err := fs.ReadFile(dump, name)
		if err != nil {
			return nil, err
		}
		p, err := parseProxy(subnet.Localise(data, prefix))
		if err != nil {
			return nil, fmt.Errorf("%s: %w: run make dump", name, err)
		}
		proxies[strings.TrimSuffix(path.Base(name), ".json")] = p
	}
	return proxies, nil
}

func parseProxy(data []byte) (proxy, error) {
	var f proxyFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	p := proxy{}
	return p, errors.Join(
		addResources(p, f.Clusters, (*cluster.Cluster).GetName),
		addResources(p, f.Endpoints, (*endpoint.ClusterLoadAssignment).GetClusterName),
		addResources(p, f.Listeners, (*listener.Listener).GetName),
		addResources(p, f.Routes, (*route.RouteConfiguration).GetName),
	)
}

func addResources[T any, M interface {
	*T
	proto.Message
}](p proxy, resources []json.RawMessage, name func(M) string) error {
	byName := map[string]*anypb.Any{}
	p[typePrefix+string(M(new(T)).ProtoReflect().Descriptor().FullName())] = byName
	for _, data := range resources {
		m := M(new(T))
		if err := protojson.Unmarshal(data, m); err != nil {
			return err
		}
		resource, err := anypb.New(m)
		if err != nil {
			return err
		}
		byName[name(m)] = resource
	}
	return nil
}
