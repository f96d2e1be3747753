package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/extauthz/internal/keys/kubekeys"
	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
)

// keysCluster describes the Secret and the ConfigMap of the keys, and their cluster.
type keysCluster struct {
	wanted            bool
	cluster           kubeclient.Config
	secret, configMap kubekeys.ObjectName
}

func addKeysKubernetes(cmd *cobra.Command) *keysCluster {
	k := &keysCluster{
		secret:    kubekeys.ObjectName{Namespace: "edge", Name: "meshpass-signing-keys"},
		configMap: kubekeys.ObjectName{Namespace: "meshpass", Name: "meshpass-jwks"},
	}
	cmd.Flags().BoolVar(&k.wanted, "kubernetes", false, "the keys are in a Secret, the key set is in a ConfigMap")
	addFunc(cmd, "secret", "NAMESPACE/NAME", k.secret.String(), "the Secret of the keys", k.secret.Set)
	addFunc(cmd, "configmap", "NAMESPACE/NAME", k.configMap.String(), "the ConfigMap of the key set, with the entry jwks.json", k.configMap.Set)
	addKubeconfig(cmd, &k.cluster)
	return k
}

// addKubeconfig adds the flags that describe how to reach a cluster.
func addKubeconfig(cmd *cobra.Command, cluster *kubeclient.Config) {
	addText(cmd, &cluster.Kubeconfig, "kubeconfig", "FILE", "how to reach the cluster; without it $KUBECONFIG, ~/.kube/config or, in a pod, its service account")
	addText(cmd, &cluster.Context, "context", "NAME", "the context of the kubeconfig; without it the current one")
}

func (k *keysCluster) openStore() (kubekeys.Store, error) {
	client, err := kubeclient.New(k.cluster)
	if err != nil {
		return kubekeys.Store{}, err
	}
	return kubekeys.NewStore(client, k.secret, k.configMap), nil
}

func (k *keysCluster) rotate(ctx context.Context, r keys.Rotation) (keys.Report, error) {
	in, err := k.openStore()
	if err != nil {
		return keys.Report{}, err
	}
	return in.Rotate(ctx, r)
}

func (k *keysCluster) status(ctx context.Context, check keys.StatusOptions) (keys.Report, error) {
	in, err := k.openStore()
	if err != nil {
		return keys.Report{}, err
	}
	return in.Status(ctx, check)
}
