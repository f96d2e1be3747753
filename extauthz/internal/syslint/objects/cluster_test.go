package objects_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// listing is the answer for the objects of a kind, in pages.
type listing struct {
	kind  string
	pages [][]any
}

func newObject(apiVersion, kind, namespace, name string, more map[string]any) map[string]any {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"namespace": namespace, "name": name}}
	for key, value := range more {
		o[key] = value
	}
	return o
}

// newCluster serves some kinds as an API server does. It has no other kinds, and forbids one.
func newCluster(t *testing.T, forbidden string) (client dynamic.Interface, asked map[string]bool) {
	t.Helper()
	owned := newObject("v1", "Pod", "shop", "orders-1", nil)
	owned["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "orders", "uid": "1"}}
	kinds := map[string]listing{
		"services": {"Service", [][]any{{newObject("v1", "Service", "shop", "orders", nil)}, {newObject("v1", "Service", "shop", "reports", nil)}}},
		"pods":     {"Pod", [][]any{{owned}}},
		"configmaps": {"ConfigMap", [][]any{{newObject("v1", "ConfigMap", "edge", "tyk-apis", map[string]any{
			"data": map[string]any{"a.json": `{"api_id": "a", "proxy": {"listen_path": "/a/"}}`},
		})}}},
		"secrets": {"Secret", [][]any{{newObject("v1", "Secret", "edge", "keys", map[string]any{
			"stringData": map[string]any{"tyk.conf": `{"listen_port": 8080, "app_path": "/apps"}`},
		})}}},
	}
	asked = map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		plural := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		asked[plural] = true
		answer := map[string]any{"apiVersion": "v1", "kind": "Status", "status": "Failure"}
		found, known := kinds[plural]
		w.Header().Set("Content-Type", "application/json")
		switch {
		case plural == forbidden:
			answer["reason"], answer["code"] = "Forbidden", http.StatusForbidden
			w.WriteHeader(http.StatusForbidden)
		case !known || !strings.HasPrefix(r.URL.Path, "/api/v1/"):
			answer["reason"], answer["code"] = "NotFound", http.StatusNotFound
			w.WriteHeader(http.StatusNotFound)
		default:
			page, metadata := len(r.URL.Query().Get("continue")), map[string]any{}
			if page+1 < len(found.pages) {
				metadata["continue"] = strings.Repeat("x", page+1)
			}
			answer = map[string]any{"apiVersion": "v1", "kind": found.kind + "List", "metadata": metadata, "items": found.pages[page]}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	client, err := dynamic.NewForConfig(&rest.Config{Host: server.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return client, asked
}

// A cluster is read in pages and without its Secrets. Pods of a workload are not read beside it.
func TestReadCluster(t *testing.T) {
	client, asked := newCluster(t, "")
	reader := objects.NewReader()
	if err := reader.ReadCluster(t.Context(), client, "context test", false); err != nil {
		t.Fatal(err)
	}
	if asked["secrets"] {
		t.Error("Secrets were read")
	}
	var titles []string
	for _, o := range reader.Set.Objects {
		titles = append(titles, o.Title())
	}
	if got := strings.Join(titles, ", "); got != "ConfigMap edge/tyk-apis, Service shop/orders, Service shop/reports" {
		t.Errorf("got %s", got)
	}
	if len(reader.Set.Contents) != 1 || reader.Set.Contents[0].Root.Find("api_id").Place().String() != "context test: ConfigMap edge/tyk-apis, a.json:1:12" {
		t.Errorf("got %+v", reader.Set.Contents)
	}
	if len(reader.Set.Unchecked) > 0 {
		t.Errorf("not checked: %+v", reader.Set.Unchecked)
	}
}

func TestReadClusterWithSecrets(t *testing.T) {
	client, _ := newCluster(t, "")
	reader := objects.NewReader()
	if err := reader.ReadCluster(t.Context(), client, "context test", true); err != nil {
		t.Fatal(err)
	}
	if found := reader.Set.ContentsOf(objects.TykConfig); len(found) != 1 {
		t.Errorf("the file in the Secret was not read: %+v", found)
	}
}

// A kind that may not be listed is named, and the others are read.
func TestReadClusterWithoutRights(t *testing.T) {
	client, _ := newCluster(t, "services")
	reader := objects.NewReader()
	if err := reader.ReadCluster(t.Context(), client, "context test", false); err != nil {
		t.Fatal(err)
	}
	if len(reader.Set.Unchecked) != 1 || reader.Set.Unchecked[0].String() != "context test: Service" || reader.Set.Unchecked[0].Reason != "no right to list services: Forbidden" {
		t.Errorf("got %+v", reader.Set.Unchecked)
	}
	if len(reader.Set.Objects) != 1 {
		t.Errorf("%d objects", len(reader.Set.Objects))
	}
}
