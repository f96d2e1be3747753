package ads

import (
	"strings"
	"testing"
	"testing/fstest"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

const tiny = `{"clusters": [{"name": "c1"}, {"name": "c2"}],
 "listeners": [{"name": "127.77.0.11_8080", "address": {"socketAddress": {"address": "127.77.0.11", "portValue": 8080}}}]}`

const (
	clusterType  = typePrefix + "envoy.config.cluster.v3.Cluster"
	listenerType = typePrefix + "envoy.config.listener.v3.Listener"
	routeType    = typePrefix + "envoy.config.route.v3.RouteConfiguration"
)

func oneFile(name, content string) fstest.MapFS {
	return fstest.MapFS{name: {Data: []byte(content)}}
}

func newNode(name string) *core.Node {
	return &core.Node{Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
		"WORKLOAD_NAME": structpb.NewStringValue(name),
	}}}
}

func tinyService(t *testing.T) *service {
	t.Helper()
	proxies, err := loadDump(oneFile("orders.json", tiny), "127.80.3.")
	if err != nil {
		t.Fatal(err)
	}
	return &service{proxies: proxies}
}

func TestAnswer(t *testing.T) {
	s := tinyService(t)
	for _, row := range []struct {
		node, typeURL string
		names         []string
		count         int
		err           string
	}{
		{node: "orders", typeURL: clusterType, count: 2},
		{node: "orders", typeURL: clusterType, names: []string{"c2"}, count: 1},
		{node: "orders", typeURL: routeType, count: 0},
		{node: "orders", typeURL: routeType, names: []string{"15080"}, err: `has no ` + routeType + ` named "15080": run make dump`},
		{node: "ledger", typeURL: clusterType, err: `knows no workload "ledger": run make dump`},
		{node: "", typeURL: clusterType, err: `knows no workload ""`},
	} {
		got, err := s.answerRequest(newNode(row.node), row.typeURL, row.names)
		if row.err != "" {
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%+v: got %v", row, err)
			}
		} else if err != nil || len(got) != row.count {
			t.Errorf("%+v: got %d, %v", row, len(got), err)
		}
	}
}

func TestPrefixIsCarriedOver(t *testing.T) {
	got, err := tinyService(t).answerRequest(newNode("orders"), listenerType, nil)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v", got, err)
	}
	var l listener.Listener
	if err := got[0].UnmarshalTo(&l); err != nil {
		t.Fatal(err)
	}
	if l.Name != "127.80.3.11_8080" || l.GetAddress().GetSocketAddress().GetAddress() != "127.80.3.11" {
		t.Errorf("got %v", &l)
	}
}

func TestLoadRefuses(t *testing.T) {
	for want, dump := range map[string]fstest.MapFS{
		"holds no *.json: run make dump": {},
		"orders.json: unexpected":        oneFile("orders.json", `{"clusters": [`),
		"cluster_nam":                    oneFile("orders.json", `{"clusters": [{"cluster_nam": "c"}]}`),
		"envoy.filters.Unheard": oneFile("orders.json",
			`{"clusters": [{"name": "c", "transportSocket": {"typedConfig": {"@type": "type.googleapis.com/envoy.filters.Unheard"}}}]}`),
	} {
		if _, err := loadDump(dump, "127.80.3."); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
