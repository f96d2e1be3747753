package kubeservices

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
	"k8s.io/client-go/tools/pager"
)

// Cluster reads the Services of a Kubernetes cluster.
type Cluster struct {
	client   dynamic.Interface
	services dynamic.ResourceInterface
}

var serviceResource = schema.GroupVersionResource{Version: "v1", Resource: "services"}

// NewCluster reads the Services of a namespace; empty: of all namespaces.
func NewCluster(client dynamic.Interface, namespace string) Cluster {
	return Cluster{client: client, services: client.Resource(serviceResource).Namespace(namespace)}
}

// List returns all Services.
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
	return convertObjects(all)
}

func convertObjects(objects []any) ([]Service, error) {
	all := make([]Service, len(objects))
	for i, object := range objects {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.(*unstructured.Unstructured).Object, &all[i]); err != nil {
			return nil, fmt.Errorf("a Service cannot be read: %w", err)
		}
	}
	return all, nil
}

// Watch calls changed with all Services, once they are known and after each change, until
// ctx ends. Changes that follow each other within pause, as in a rollout, cause one call.
func (c Cluster) Watch(ctx context.Context, pause time.Duration, changed func([]Service, error)) {
	pending := make(chan struct{}, 1)
	notify := func() {
		select {
		case pending <- struct{}{}:
		default: // a call is pending already
		}
	}
	known, follow := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: c.listerWatcher(),
		ObjectType:    &unstructured.Unstructured{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { notify() }, UpdateFunc: func(any, any) { notify() }, DeleteFunc: func(any) { notify() },
		},
	})
	ended := make(chan struct{})
	go func() { defer close(ended); follow.RunWithContext(ctx) }()
	cache.WaitForCacheSync(ctx.Done(), follow.HasSynced)
	for waitForChanges(ctx, pending, pause) {
		changed(convertObjects(known.List()))
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

// waitForChanges waits for a change, and pause longer for further ones; false: ctx ended.
func waitForChanges(ctx context.Context, pending <-chan struct{}, pause time.Duration) bool {
	select {
	case <-pending:
	case <-ctx.Done():
		return false
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}
