package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	keyskube "github.com/meshpass/meshpass/extauthz/internal/keys/kube"
	"github.com/meshpass/meshpass/extauthz/internal/services/kube"
)

// keysCluster says in which objects of which cluster the keys are.
type keysCluster struct {
	wanted            bool
	access            kube.Access
	secret, configMap keyskube.Name
}

func addKeysKubernetes(cmd *cobra.Command) *keysCluster {
	k := &keysCluster{
		secret:    keyskube.Name{Namespace: "edge", Name: "meshpass-signing-keys"},
		configMap: keyskube.Name{Namespace: "meshpass", Name: "meshpass-jwks"},
	}
	cmd.Flags().BoolVar(&k.wanted, "kubernetes", false, "the keys are in a Secret, the key set is in a ConfigMap")
	addFunc(cmd, "secret", "NAMESPACE/NAME", k.secret.String(), "the Secret of the keys", k.secret.Set)
	addFunc(cmd, "configmap", "NAMESPACE/NAME", k.configMap.String(), "the ConfigMap of the key set, with the entry jwks.json", k.configMap.Set)
	addKubeconfig(cmd, &k.access)
	return k
}

// addKubeconfig adds how to reach a cluster.
func addKubeconfig(cmd *cobra.Command, access *kube.Access) {
	addText(cmd, &access.Kubeconfig, "kubeconfig", "FILE", "how to reach the cluster; without it $KUBECONFIG, ~/.kube/config or, in a pod, its service account")
	addText(cmd, &access.Context, "context", "NAME", "the context of the kubeconfig; without it the current one")
}

func (k *keysCluster) keys() (keyskube.Keys, error) {
	client, err := k.access.Client()
	if err != nil {
		return keyskube.Keys{}, err
	}
	return keyskube.In(client, k.secret, k.configMap), nil
}

func (k *keysCluster) rotate(ctx context.Context, r keys.Rotation) (keys.Report, error) {
	in, err := k.keys()
	if err != nil {
		return keys.Report{}, err
	}
	return in.Rotate(ctx, r)
}

func (k *keysCluster) status(ctx context.Context, check keys.Check) (keys.Report, error) {
	in, err := k.keys()
	if err != nil {
		return keys.Report{}, err
	}
	return in.Status(ctx, check)
}
