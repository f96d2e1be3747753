package kind

import (
	"context"
	"embed"
	"io/fs"
)

//go:embed workloads/*.yaml
var workloads embed.FS

// deploy brings everything onto the cluster: first what pods wait for, then manifests/overlays/dev as
// shipped, and the demo's own workloads.
func (e *Environment) deploy(ctx context.Context) error {
	before, err := e.deployed(ctx)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{e.namespaces, e.secrets, e.giveKeys, e.overlay, e.demo} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	if before {
		if err := e.restart(ctx, "meshpass", "edge", "shop", "idp", "outside"); err != nil {
			return err
		}
	}
	return e.rollouts(ctx, "idp", "outside", "meshpass", "edge", "shop")
}

// deployed: an earlier run did it all. Its pods would go on with the images of then, whose
// names are the same.
func (e *Environment) deployed(ctx context.Context) (bool, error) {
	names, err := e.kubectl(ctx, "get", "deployment", "meshpass", "-n", "meshpass", "-o", "name", "--ignore-not-found")
	return names != "", err
}

func (e *Environment) restart(ctx context.Context, namespaces ...string) error {
	for _, namespace := range namespaces {
		if _, err := e.kubectl(ctx, "rollout", "restart", "deployment", "-n", namespace); err != nil {
			return err
		}
	}
	return nil
}

// namespaces come first, because Secrets need them.
func (e *Environment) namespaces(ctx context.Context) error {
	own, err := workloads.ReadFile("workloads/namespaces.yaml")
	if err != nil {
		return err
	}
	if err := e.apply(ctx, own); err != nil {
		return err
	}
	for _, name := range []string{"meshpass", "edge"} {
		if err := e.derived(ctx, "create", "namespace", name); err != nil {
			return err
		}
	}
	return nil
}

// secrets makes what belongs to each gateway alone.
func (e *Environment) secrets(ctx context.Context) error {
	for _, g := range e.at.gateways {
		if err := e.ownSecrets(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// derived applies what kubectl makes of a create command, whether or not the object is there.
func (e *Environment) derived(ctx context.Context, create ...string) error {
	manifest, err := e.tool(ctx, nil, "kubectl", append(create, "--dry-run=client", "-o", "yaml")...)
	if err != nil {
		return err
	}
	return e.apply(ctx, manifest)
}

// demo brings the demo's own workloads.
func (e *Environment) demo(ctx context.Context) error {
	names, err := fs.Glob(workloads, "workloads/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := workloads.ReadFile(name)
		if err == nil {
			err = e.apply(ctx, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
