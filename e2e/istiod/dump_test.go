package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const node = `{"id": "sidecar~127.77.0.11~orders.shop~shop.svc.cluster.local",
 "metadata": {"NAMESPACE": "shop", "WORKLOAD_NAME": "orders", "INTERCEPTION_MODE": "NONE", "ISTIO_VERSION": "1.31.0"}}`

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDump(t *testing.T) {
	in, nodes := t.TempDir(), t.TempDir()
	write(t, in, "objects.yaml", object)
	write(t, nodes, "orders.json", node)
	o := options{
		source: source{mesh: write(t, t.TempDir(), "m.yaml", meshText), dirs: []string{in}},
		nodes:  nodes,
	}
	var dumps []string
	for range 2 {
		o.out = t.TempDir()
		if err := dump(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(o.out, "orders.json"))
		if err != nil {
			t.Fatal(err)
		}
		dumps = append(dumps, string(data))
	}
	if dumps[0] != dumps[1] {
		t.Error("two dumps of the same input differ")
	}
	var got proxyConfig
	if err := json.Unmarshal([]byte(dumps[0]), &got); err != nil || len(got.Clusters) == 0 {
		t.Errorf("%d clusters, %v", len(got.Clusters), err)
	}
	for _, unwanted := range []string{"nonce", "versionInfo", "istio.metadata_exchange", "istio.alpn"} {
		if strings.Contains(dumps[0], unwanted) {
			t.Errorf("the dump holds %s", unwanted)
		}
	}
}

func TestNodesAreRefused(t *testing.T) {
	for want, files := range map[string][]string{
		"no *.json":                          {},
		"0.json: ":                           {"{"},
		`WORKLOAD_NAME "../x"`:               {strings.Replace(node, `"orders"`, `"../x"`, 1)},
		`WORKLOAD_NAME ""`:                   {`{"id": "x"}`},
		`a second node of workload "orders"`: {node, node},
	} {
		dir := t.TempDir()
		for i, content := range files {
			write(t, dir, string(rune('0'+i))+".json", content)
		}
		if _, err := readNodes(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
