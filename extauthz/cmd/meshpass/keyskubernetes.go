package main

import (
	"context"
	"flag"

	"github.com/meshpass/meshpass/extauthz/keys"
	keyskube "github.com/meshpass/meshpass/extauthz/keys/kube"
	"github.com/meshpass/meshpass/extauthz/services/kube"
)

const keysKubernetesUsage = `  --kubernetes             the keys are in a Secret, the key set in a ConfigMap
  --secret NS/NAME         default: edge/meshpass-signing-keys
  --configmap NS/NAME      default: meshpass/meshpass-jwks; entry jwks.json
  --kubeconfig FILE        how to reach the cluster; default: $KUBECONFIG,
                           ~/.kube/config or, in a pod, its service account
  --context NAME           of the kubeconfig; default: the current one
`

// inKubernetes says where in which cluster the keys are.
type inKubernetes struct {
	wanted            bool
	access            kube.Access
	secret, configMap keyskube.Name
}

func keysKubernetes(flags *flag.FlagSet) *inKubernetes {
	k := &inKubernetes{
		secret:    keyskube.Name{Namespace: "edge", Name: "meshpass-signing-keys"},
		configMap: keyskube.Name{Namespace: "meshpass", Name: "meshpass-jwks"},
	}
	flags.BoolVar(&k.wanted, "kubernetes", false, "")
	flags.Var(&k.secret, "secret", "")
	flags.Var(&k.configMap, "configmap", "")
	flags.StringVar(&k.access.Kubeconfig, "kubeconfig", "", "")
	flags.StringVar(&k.access.Context, "context", "", "")
	return k
}

func (k *inKubernetes) keys() (keyskube.Keys, error) {
	client, err := k.access.Client()
	if err != nil {
		return keyskube.Keys{}, err
	}
	return keyskube.In(client, k.secret, k.configMap), nil
}

func (k *inKubernetes) rotate(ctx context.Context, r keys.Rotation) (keys.Report, error) {
	in, err := k.keys()
	if err != nil {
		return keys.Report{}, err
	}
	return in.Rotate(ctx, r)
}

func (k *inKubernetes) status(ctx context.Context, check keys.Check) (keys.Report, error) {
	in, err := k.keys()
	if err != nil {
		return keys.Report{}, err
	}
	return in.Status(ctx, check)
}
