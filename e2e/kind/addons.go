package kind

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"sigs.k8s.io/yaml"
)

// addonsBound leaves time for images that the node pulls.
const addonsBound = 10 * time.Minute

// workload is an object of an addon that has pods.
type workload struct{ kind, namespace, name string }

// addon is the content of a file of manifests.
type addon struct {
	images    []string // of its containers
	workloads []workload
}

// readAddon reads a file of manifests.
func readAddon(text []byte) (a addon, err error) {
	for i, doc := range splitYAML(text) {
		var object struct {
			Kind     string
			Metadata struct{ Name, Namespace string }
			Spec     struct {
				Template struct {
					Spec struct{ Containers, InitContainers []struct{ Image string } }
				}
			}
		}
		if err := yaml.Unmarshal(doc, &object); err != nil {
			return addon{}, fmt.Errorf("document %d: %w", i+1, err)
		}
		pods := object.Spec.Template.Spec
		for _, c := range append(pods.InitContainers, pods.Containers...) {
			if c.Image != "" && !slices.Contains(a.images, c.Image) {
				a.images = append(a.images, c.Image)
			}
		}
		if slices.Contains([]string{"DaemonSet", "Deployment", "StatefulSet"}, object.Kind) {
			namespace := object.Metadata.Namespace
			if namespace == "" {
				namespace = "default"
			}
			a.workloads = append(a.workloads, workload{object.Kind, namespace, object.Metadata.Name})
		}
	}
	return a, nil
}

func loadAddon(file string) (addon, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return addon{}, err
	}
	a, err := readAddon(text)
	if err != nil {
		return addon{}, fmt.Errorf("%s: %w", file, err)
	}
	return a, nil
}

// splitYAML returns the documents of a file.
func splitYAML(text []byte) (docs [][]byte) {
	for _, doc := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		if len(bytes.TrimSpace(doc)) > 0 {
			docs = append(docs, doc)
		}
	}
	return docs
}

// applyAddons applies the user's own manifests, for example of a network plugin, with images of the local
// daemon.
func (e *Environment) applyAddons(ctx context.Context) error {
	if e.Addons == "" {
		return nil
	}
	a, err := loadAddon(e.Addons)
	if err != nil {
		return err
	}
	if err := e.loadImages(ctx, a.images...); err != nil {
		return err
	}
	e.out.printLine("   applying %s", e.Addons)
	// Server-side: definitions of resources may be larger than an annotation.
	_, err = e.kubectl(ctx, "apply", "--server-side", "-f", e.Addons)
	return err
}

// awaitAddons waits for the pods of the addons.
func (e *Environment) awaitAddons(ctx context.Context) error {
	if e.Addons == "" {
		return nil
	}
	a, err := loadAddon(e.Addons)
	if err != nil {
		return err
	}
	for _, w := range a.workloads {
		err := e.runSlowTool(ctx, nil, "kubectl", "rollout", "status", "--timeout", addonsBound.String(), "-n", w.namespace, w.kind+"/"+w.name)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, e.describePods(ctx, w.namespace))
		}
	}
	return nil
}
