package kind

import (
	"context"
	"time"
)

// Names of the images that are built.
const (
	authzImage  = "meshpass/authz:dev"
	pluginImage = "meshpass/tyk-plugin:dev"
	testImage   = "meshpass/e2e:dev"
)

// buildImages builds our own images and loads all images that the pods need.
func (e *Environment) buildImages(ctx context.Context) error {
	builds := [][]string{
		{"-f", "Dockerfile.authz", "-t", authzImage, "."},
		{"-f", "Dockerfile.plugin", "--build-arg", "TYK_VERSION=" + TykVersion, "-t", pluginImage, "."},
		{"-f", "e2e/kind/Dockerfile", "-t", testImage, e.repoFile("bin", "image")},
	}
	for _, args := range builds {
		began := time.Now()
		e.out.printLine("   building %s", args[len(args)-2])
		if err := e.runSlowTool(ctx, nil, "docker", append([]string{"build"}, args...)...); err != nil {
			return err
		}
		e.out.printLine("   built %s in %s", args[len(args)-2], formatSeconds(time.Since(began)))
	}
	return e.loadImages(ctx, authzImage, pluginImage, testImage, "tykio/tyk-gateway:"+TykVersion, "redis:7")
}

// loadImages loads images of the local daemon into the cluster. The node pulls the others itself.
func (e *Environment) loadImages(ctx context.Context, images ...string) error {
	for _, image := range images {
		if _, err := e.runTool(ctx, nil, "docker", "image", "inspect", image); err != nil {
			e.out.printLine("   %s is not in the local daemon: the node pulls it", image)
			continue
		}
		e.out.printLine("   loading %s", image)
		if err := e.runSlowTool(ctx, nil, "kind", "load", "docker-image", "--name", clusterName, image); err != nil {
			return err
		}
	}
	return nil
}
