// Package podlogs reads the logs of a cluster's pods: of authorizers, of gateways with the plugin, and of Envoys. It only reads.
package podlogs

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
)

// Config selects the logs.
type Config struct {
	Kubeconfig string
	Context    string
	Namespaces []string  // empty: all
	Since      time.Time // of the runtime's time of a line
}

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// container is one whose log is read.
type container struct {
	namespace, pod, name string
	previous             bool // the container before its last restart
}

func (c container) String() string {
	text := c.namespace + "/" + c.pod + "/" + c.name
	if c.previous {
		text += " (before its restart)"
	}
	return text
}

// Find lists the logs of all pods. The warnings name containers whose logs cannot be read, because they have not started.
func Find(ctx context.Context, c Config) (sources []search.Source, warnings []string, err error) {
	objects, err := kubeclient.New(kubeclient.Config{Kubeconfig: c.Kubeconfig, Context: c.Context})
	if err != nil {
		return nil, nil, err
	}
	logs, err := kubeclient.NewREST(kubeclient.Config{Kubeconfig: c.Kubeconfig, Context: c.Context})
	if err != nil {
		return nil, nil, err
	}
	namespaces := c.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	for _, namespace := range namespaces {
		containers, waiting, err := listContainers(ctx, objects, namespace)
		if err != nil {
			return nil, nil, fmt.Errorf("listing pods: %w", err)
		}
		warnings = append(warnings, waiting...)
		for _, from := range containers {
			sources = append(sources, search.Source{Name: from.String(), Open: func() (io.ReadCloser, error) { return openLog(ctx, logs, from, c.Since) }})
		}
	}
	if len(sources) == 0 {
		return nil, nil, fmt.Errorf("no pod has a container of Meshpass, of a gateway with the plugin, or of Istio's proxy")
	}
	return sources, warnings, nil
}

// openLog opens the log of a container. A pod that has ended since it was listed has no log, which is no error.
func openLog(ctx context.Context, logs rest.Interface, c container, since time.Time) (io.ReadCloser, error) {
	request := logs.Get().AbsPath("/api/v1/namespaces", c.namespace, "pods", c.pod, "log").
		Param("container", c.name).Param("sinceTime", since.UTC().Format(time.RFC3339))
	if c.previous {
		request.Param("previous", "true")
	}
	stream, err := request.Stream(ctx)
	if kerrors.IsNotFound(err) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return failedLog{err}, nil
	}
	return stream, nil
}

// failedLog is a log that cannot be read: the others still can.
type failedLog struct{ err error }

func (l failedLog) Read([]byte) (int, error) { return 0, l.err }
func (failedLog) Close() error               { return nil }

func listContainers(ctx context.Context, client dynamic.Interface, namespace string) (found []container, warnings []string, err error) {
	err = kubeclient.VisitObjects(ctx, client.Resource(pods).Namespace(namespace), metav1.ListOptions{}, func(pod *unstructured.Unstructured) error {
		containers, waiting := readPod(pod)
		found, warnings = append(found, containers...), append(warnings, waiting...)
		return nil
	})
	return found, warnings, err
}

// readPod returns the containers of a pod whose logs can be read, and names those that have not started.
func readPod(pod *unstructured.Unstructured) (found []container, waiting []string) {
	restarts := readRestarts(pod)
	for _, list := range []string{"initContainers", "containers"} {
		specs, _, _ := unstructured.NestedSlice(pod.Object, "spec", list)
		for _, spec := range specs {
			spec, _ := spec.(map[string]any)
			if !writesRecords(spec, list) {
				continue
			}
			name, _ := spec["name"].(string)
			c := container{namespace: pod.GetNamespace(), pod: pod.GetName(), name: name}
			count, started := restarts[name]
			if !started {
				waiting = append(waiting, c.String()+": it has not started")
				continue
			}
			if count > 0 {
				before := c
				before.previous = true
				found = append(found, before)
			}
			found = append(found, c)
		}
	}
	return found, waiting
}

// readRestarts counts the restarts of the containers that have started.
func readRestarts(pod *unstructured.Unstructured) map[string]int64 {
	restarts := map[string]int64{}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", list)
		for _, status := range statuses {
			status, _ := status.(map[string]any)
			name, _ := status["name"].(string)
			count, _ := status["restartCount"].(int64)
			_, isWaiting, _ := unstructured.NestedMap(status, "state", "waiting")
			if !isWaiting || count > 0 {
				restarts[name] = count
			}
		}
	}
	return restarts
}

// writesRecords reports whether a container is an authorizer, a gateway with the plugin, or Istio's proxy. An init container
// is one only if it runs beside the others.
func writesRecords(spec map[string]any, list string) bool {
	if list == "initContainers" && spec["restartPolicy"] != "Always" {
		return false
	}
	name, _ := spec["name"].(string)
	image, _ := spec["image"].(string)
	env, _ := spec["env"].([]any)
	return name == "istio-proxy" || strings.Contains(name, "meshpass") || strings.Contains(image, "meshpass") || slices.ContainsFunc(env, func(variable any) bool {
		entry, _ := variable.(map[string]any)
		return entry["name"] == "MESHPASS_CONFIG"
	})
}
