package kubeservices_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
	clienttest "k8s.io/client-go/testing"

	"github.com/meshpass/meshpass/extauthz/internal/services/kubeservices"
)

var serviceResource = schema.GroupVersionResource{Version: "v1", Resource: "services"}

func service(namespace, name, address string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"namespace": namespace, "name": name},
		"spec": map[string]any{"clusterIP": address, "ports": []any{map[string]any{"port": int64(80), "protocol": "TCP"}}},
	}}
}

func cluster(objects ...runtime.Object) *fake.FakeDynamicClient {
	return fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{serviceResource: "ServiceList"}, objects...)
}

func names(t *testing.T, list []kubeservices.Service) string {
	t.Helper()
	var all []string
	file, err := kubeservices.BuildFile(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range file.Services {
		all = append(all, s.String()+"="+strings.Join(s.Addresses, ","))
	}
	return strings.Join(all, " ")
}

func TestList(t *testing.T) {
	client := cluster(service("billing", "orders", "10.0.0.1"), service("shop", "orders", "10.0.0.2"))
	for namespace, want := range map[string]string{"": "billing/orders=10.0.0.1 shop/orders=10.0.0.2", "shop": "shop/orders=10.0.0.2"} {
		list, err := kubeservices.NewCluster(client, namespace).List(t.Context())
		if err != nil || names(t, list) != want {
			t.Errorf("namespace %q: got %v, %v", namespace, list, err)
		}
	}
}

// A large cluster answers in parts.
func TestListInParts(t *testing.T) {
	client, asked := cluster(), 0
	client.PrependReactor("list", "services", func(clienttest.Action) (bool, runtime.Object, error) {
		list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "ServiceList"}}
		switch asked++; asked {
		case 1:
			list.SetContinue("more")
			list.Items = append(list.Items, *service("shop", "a", "10.0.0.1"))
		case 2:
			list.Items = append(list.Items, *service("shop", "b", "10.0.0.2"))
		default:
			return true, nil, errors.New("asked again")
		}
		return true, list, nil
	})
	list, err := kubeservices.NewCluster(client, "").List(t.Context())
	if err != nil || names(t, list) != "shop/a=10.0.0.1 shop/b=10.0.0.2" {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestListThatFails(t *testing.T) {
	client, forbidden := cluster(), errors.New(`services is forbidden: User "a" cannot list resource "services"`)
	client.PrependReactor("list", "services", func(clienttest.Action) (bool, runtime.Object, error) { return true, nil, forbidden })
	if list, err := kubeservices.NewCluster(client, "").List(t.Context()); !errors.Is(err, forbidden) || list != nil {
		t.Errorf("got %v, %v", list, err)
	}
}

// Services at the start are reported, and so are added, moved and removed ones.
func TestWatch(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	client := cluster(service("shop", "orders", "10.0.0.1"))
	told := make(chan string, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		kubeservices.NewCluster(client, "").Watch(ctx, time.Millisecond, func(list []kubeservices.Service, err error) {
			if err != nil {
				t.Error(err)
			}
			told <- sorted(list)
		})
	}()
	services := client.Resource(serviceResource).Namespace("shop")
	for _, step := range []struct {
		change func() error
		want   string
	}{
		{func() error { return nil }, "orders=10.0.0.1"},
		{func() error {
			_, err := services.Create(ctx, service("shop", "web", "10.0.0.2"), meta.CreateOptions{})
			return err
		}, "orders=10.0.0.1 web=10.0.0.2"},
		{func() error {
			_, err := services.Update(ctx, service("shop", "web", "10.0.0.3"), meta.UpdateOptions{})
			return err
		}, "orders=10.0.0.1 web=10.0.0.3"},
		{func() error { return services.Delete(ctx, "orders", meta.DeleteOptions{}) }, "web=10.0.0.3"},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		for got := ""; got != step.want; {
			select {
			case got = <-told:
			case <-ctx.Done():
				t.Fatalf("%s was not reported", step.want)
			}
		}
	}
	stop()
	<-ended
}

func sorted(list []kubeservices.Service) string {
	all := make([]string, len(list))
	for i, s := range list {
		all[i] = s.Metadata.Name + "=" + s.Spec.ClusterIP
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
