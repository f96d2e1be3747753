package kind

import (
	"context"
	"time"
)

// The images that are built here.
const (
	authzImage  = "meshpass/authz:dev"
	pluginImage = "meshpass/tyk-plugin:dev"
	testImage   = "meshpass/e2e:dev"
)

// images builds what is ours and loads all that the pods need.
func (e *Environment) images(ctx context.Context) error {
	builds := [][]string{
		{"-f", "Dockerfile.authz", "-t", authzImage, "."},
		{"-f", "Dockerfile.plugin", "--build-arg", "TYK_VERSION=" + TykVersion, "-t", pluginImage, "."},
		{"-f", "e2e/kind/Dockerfile", "-t", testImage, e.shipped("bin", "image")},
	}
	for _, args := range builds {
		began := time.Now()
		e.out.line("   building %s", args[len(args)-2])
		if err := e.slow(ctx, nil, "docker", append([]string{"build"}, args...)...); err != nil {
			return err
		}
		e.out.line("   built %s in %s", args[len(args)-2], seconds(time.Since(began)))
	}
	return e.give(ctx, authzImage, pluginImage, testImage, "tykio/tyk-gateway:"+TykVersion, "redis:7")
}

// give puts images into the cluster that the local daemon has. The node pulls the others by itself.
func (e *Environment) give(ctx context.Context, images ...string) error {
	for _, image := range images {
		if _, err := e.tool(ctx, nil, "docker", "image", "inspect", image); err != nil {
			e.out.line("   %s is not in the local daemon: the node is to pull it", image)
			continue
		}
		e.out.line("   loading %s", image)
		if err := e.slow(ctx, nil, "kind", "load", "docker-image", "--name", clusterName, image); err != nil {
			return err
		}
	}
	return nil
}
