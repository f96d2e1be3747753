// Package kubeclient connects to a Kubernetes cluster as kubectl does.
package kubeclient

import (
	"fmt"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// Config describes how to reach a cluster.
type Config struct {
	Kubeconfig string // empty: $KUBECONFIG, ~/.kube/config or, in a pod, its service account
	Context    string // empty: the current context of the kubeconfig
}

// New reads the kubeconfig and makes a client. It sends no request.
func New(c Config) (dynamic.Interface, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: c.Context}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the cluster: %w", err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the cluster: %w", err)
	}
	return client, nil
}
