package kind

import (
	"context"
	"embed"
	"io/fs"
)

//go:embed workloads/*.yaml
var workloads embed.FS

// deployAll deploys everything: first the objects that pods wait for, then manifests/overlays/dev as
// shipped, and the demo's own workloads.
func (e *Environment) deployAll(ctx context.Context) error {
	before, err := e.isDeployed(ctx)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{e.createNamespaces, e.createSecrets, e.applyKeys, e.applyOverlay, e.applyDemo} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	if before {
		if err := e.restartDeployments(ctx, "meshpass", "edge", "shop", "idp", "outside"); err != nil {
			return err
		}
	}
	if err := e.awaitRollouts(ctx, "idp", "outside", "meshpass", "edge", "shop"); err != nil {
		return err
	}
	return e.awaitGateways(ctx)
}

// isDeployed reports whether an earlier run has deployed everything. Its pods would keep the old images,
// because the names are the same.
func (e *Environment) isDeployed(ctx context.Context) (bool, error) {
	names, err := e.kubectl(ctx, "get", "deployment", "meshpass", "-n", "meshpass", "-o", "name", "--ignore-not-found")
	return names != "", err
}

func (e *Environment) restartDeployments(ctx context.Context, namespaces ...string) error {
	for _, namespace := range namespaces {
		if _, err := e.kubectl(ctx, "rollout", "restart", "deployment", "-n", namespace); err != nil {
			return err
		}
	}
	return nil
}

// createNamespaces runs first, because Secrets need namespaces.
func (e *Environment) createNamespaces(ctx context.Context) error {
	own, err := workloads.ReadFile("workloads/namespaces.yaml")
	if err != nil {
		return err
	}
	if err := e.applyManifests(ctx, own); err != nil {
		return err
	}
	for _, name := range []string{"meshpass", "edge"} {
		if err := e.applyCreated(ctx, "create", "namespace", name); err != nil {
			return err
		}
	}
	return nil
}

// createSecrets makes the keys and secrets of each gateway.
func (e *Environment) createSecrets(ctx context.Context) error {
	for _, g := range e.current.gateways {
		if err := e.createGatewaySecrets(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// applyCreated applies the output of a kubectl create command, also if the object exists already.
func (e *Environment) applyCreated(ctx context.Context, create ...string) error {
	manifest, err := e.runTool(ctx, nil, "kubectl", append(create, "--dry-run=client", "-o", "yaml")...)
	if err != nil {
		return err
	}
	return e.applyManifests(ctx, manifest)
}

// applyDemo applies the demo's own workloads.
func (e *Environment) applyDemo(ctx context.Context) error {
	return e.applyDemoWith(ctx, func(text string) string { return text })
}

// applyDemoWith applies the demo's own workloads, each file as change makes it.
func (e *Environment) applyDemoWith(ctx context.Context, change func(text string) string) error {
	names, err := fs.Glob(workloads, "workloads/*.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := workloads.ReadFile(name)
		if err == nil {
			err = e.applyManifests(ctx, []byte(change(string(data))))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
