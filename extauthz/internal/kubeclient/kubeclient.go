// Package kubeclient connects to a Kubernetes cluster as kubectl does.
package kubeclient

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Config describes how to reach a cluster.
type Config struct {
	Kubeconfig string // empty: $KUBECONFIG, ~/.kube/config or, in a pod, its service account
	Context    string // empty: the current context of the kubeconfig
}

// New reads the kubeconfig and makes a client. It sends no request.
func New(c Config) (dynamic.Interface, error) {
	config, err := c.Load()
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the cluster: %w", err)
	}
	return client, nil
}

// NewREST makes a client for what is not an object, such as the log of a pod. It sends no request.
func NewREST(c Config) (rest.Interface, error) {
	config, err := c.Load()
	if err != nil {
		return nil, err
	}
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.Unversioned) // the API server's errors
	config.GroupVersion = &metav1.Unversioned
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the cluster: %w", err)
	}
	return client, nil
}

// pageSize is how many objects are in one answer of the API server.
const pageSize = 500

// VisitObjects calls visit with each object that a list has, page by page. It returns the API server's error, or that of visit.
func VisitObjects(ctx context.Context, list dynamic.ResourceInterface, options metav1.ListOptions, visit func(*unstructured.Unstructured) error) error {
	for options.Limit = pageSize; ; {
		page, err := list.List(ctx, options)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := visit(&page.Items[i]); err != nil {
				return err
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

// Load reads the kubeconfig.
func (c Config) Load() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.Context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, fmt.Errorf("no cluster is configured: name a kubeconfig with --kubeconfig or $%s, or write %s", clientcmd.RecommendedConfigPathEnvVar, clientcmd.RecommendedHomeFile)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the cluster: %w", err)
	}
	config.QPS, config.Burst = 50, 100 // client-go's own bounds, 5 and 10, are for controllers
	return config, nil
}
