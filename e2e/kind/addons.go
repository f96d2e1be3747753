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

// addonsBound is for images that the node pulls.
const addonsBound = 10 * time.Minute

// workload is an object whose pods an addon waits for.
type workload struct{ kind, namespace, name string }

// addon is what a file of manifests needs and brings.
type addon struct {
	images    []string // that its containers are made from
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

// splitYAML gives the documents of a file.
func splitYAML(text []byte) (docs [][]byte) {
	for _, doc := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		if len(bytes.TrimSpace(doc)) > 0 {
			docs = append(docs, doc)
		}
	}
	return docs
}

// addons applies the user's own manifests, a network plugin for example, with the images that the local
// daemon has.
func (e *Environment) addons(ctx context.Context) error {
	if e.Addons == "" {
		return nil
	}
	a, err := loadAddon(e.Addons)
	if err != nil {
		return err
	}
	if err := e.give(ctx, a.images...); err != nil {
		return err
	}
	e.out.line("   applying %s", e.Addons)
	// Server-side: definitions of resources may be larger than an annotation.
	_, err = e.kubectl(ctx, "apply", "--server-side", "-f", e.Addons)
	return err
}

// addonsReady waits for their pods.
func (e *Environment) addonsReady(ctx context.Context) error {
	if e.Addons == "" {
		return nil
	}
	a, err := loadAddon(e.Addons)
	if err != nil {
		return err
	}
	for _, w := range a.workloads {
		err := e.slow(ctx, nil, "kubectl", "rollout", "status", "--timeout", addonsBound.String(), "-n", w.namespace, w.kind+"/"+w.name)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, e.explain(ctx, w.namespace))
		}
	}
	return nil
}
