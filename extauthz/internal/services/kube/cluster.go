package kube

import (
	"context"
	"fmt"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/pager"
)

// Cluster is where Services are asked for; they are only read.
type Cluster struct {
	client   dynamic.Interface
	services dynamic.ResourceInterface
}

// Access says how a cluster is reached, as kubectl means it.
type Access struct {
	Kubeconfig string // empty: $KUBECONFIG, ~/.kube/config or, in a pod, its service account
	Context    string // empty: the current one
	Namespace  string // empty: all of them
}

var resource = schema.GroupVersionResource{Version: "v1", Resource: "services"}

// Connect reads the kubeconfig; nothing is asked yet.
func Connect(a Access) (Cluster, error) {
	client, err := a.Client()
	if err != nil {
		return Cluster{}, err
	}
	return In(client, a.Namespace), nil
}

// Client is for whatever else is kept in a cluster.
func (a Access) Client() (dynamic.Interface, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = a.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: a.Context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no way to the cluster: %w", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("no way to the cluster: %w", err)
	}
	return client, nil
}

// In asks a client for the Services of a namespace; empty: of all.
func In(client dynamic.Interface, namespace string) Cluster {
	return Cluster{client: client, services: client.Resource(resource).Namespace(namespace)}
}

// List gives all Services there are now.
func (c Cluster) List(ctx context.Context) ([]Service, error) {
	var all []any
	inParts := pager.New(func(ctx context.Context, o meta.ListOptions) (runtime.Object, error) { return c.services.List(ctx, o) })
	err := inParts.EachListItem(ctx, meta.ListOptions{}, func(object runtime.Object) error {
		all = append(all, object)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	return read(all)
}

func read(objects []any) ([]Service, error) {
	all := make([]Service, len(objects))
	for i, object := range objects {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, &all[i]); err != nil {
			return nil, fmt.Errorf("a Service cannot be read: %w", err)
		}
	}
	return all, nil
}

// Watch calls changed with all Services, once they are known and after changes,
// until ctx ends. Changes that come together, as in a rollout, are told once;
// settle is how long they are waited for.
func (c Cluster) Watch(ctx context.Context, settle time.Duration, changed func([]Service, error)) {
	pending := make(chan struct{}, 1)
	note := func() {
		select {
		case pending <- struct{}{}:
		default: // told already
		}
	}
	known, follow := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: c.listerWatcher(),
		ObjectType:    &unstructured.Unstructured{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { note() }, UpdateFunc: func(any, any) { note() }, DeleteFunc: func(any) { note() },
		},
	})
	ended := make(chan struct{})
	go func() { defer close(ended); follow.RunWithContext(ctx) }()
	cache.WaitForCacheSync(ctx.Done(), follow.HasSynced)
	for settled(ctx, pending, settle) {
		changed(read(known.List()))
	}
	<-ended
}

func (c Cluster) listerWatcher() cache.ListerWatcher {
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o meta.ListOptions) (runtime.Object, error) { return c.services.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o meta.ListOptions) (watch.Interface, error) {
			return c.services.Watch(ctx, o)
		},
	}, c.client)
}

// settled waits for a change and what comes with it; false: ctx ended.
func settled(ctx context.Context, pending <-chan struct{}, settle time.Duration) bool {
	select {
	case <-pending:
	case <-ctx.Done():
		return false
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
