// Package podlogs reads the logs of a cluster's pods: of authorizers, of gateways with the plugin, and of Envoys. It only reads.
package podlogs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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

// state is the status of a container.
type state struct {
	restarts int64
	began    time.Time // zero: the container waits for its start
	before   time.Time // the start of the container before its last restart; zero: its log is not kept
	greets   bool      // it logs a line when it starts
}

// kept is a log that can be read, and when its container started.
type kept struct {
	container
	began time.Time
}

// listKept returns the logs of a container, the oldest first. The API server keeps one from before restarts.
func (s state) listKept(c container) (logs []kept) {
	if !s.before.IsZero() {
		logs = append(logs, kept{container{c.namespace, c.pod, c.name, true}, s.before})
	}
	if !s.began.IsZero() {
		logs = append(logs, kept{c, s.began})
	}
	return logs
}

// Logs are the logs of the pods that exist when they are listed.
type Logs struct {
	config  Config
	objects dynamic.Interface
	logs    rest.Interface
	states  map[container]state // without previous containers
	unread  []string            // logs that are not whole, and why
}

// Find lists the logs of all pods.
func Find(ctx context.Context, c Config) (*Logs, error) {
	access := kubeclient.Config{Kubeconfig: c.Kubeconfig, Context: c.Context}
	objects, err := kubeclient.New(access)
	if err != nil {
		return nil, err
	}
	logs, err := kubeclient.NewREST(access)
	if err != nil {
		return nil, err
	}
	if len(c.Namespaces) == 0 {
		c.Namespaces = []string{metav1.NamespaceAll}
	}
	l := &Logs{config: c, objects: objects, logs: logs}
	if l.states, l.unread, err = l.listContainers(ctx); err != nil {
		return nil, err
	}
	if len(l.states) == 0 {
		return nil, fmt.Errorf("no pod has a container of Meshpass, of a gateway with the plugin, or of Istio's proxy")
	}
	return l, nil
}

// Sources returns the logs that are kept, and remembers which ones begin later than the time that was asked for.
func (l *Logs) Sources(ctx context.Context) (sources []search.Source) {
	for _, c := range slices.SortedFunc(maps.Keys(l.states), func(a, b container) int { return strings.Compare(a.String(), b.String()) }) {
		s := l.states[c]
		logs := s.listKept(c)
		switch {
		case len(logs) == 0:
			l.unread = append(l.unread, c.String()+": it has not started")
		case int64(len(logs)) <= s.restarts && logs[0].began.After(l.config.Since):
			l.addLateBegin(logs[0], logs[0].began, "its container has restarted")
		}
		for _, log := range logs {
			sources = append(sources, search.Source{Name: log.String(), Open: func() (io.ReadCloser, error) { return l.open(ctx, log.container), nil }})
			if s.greets {
				l.findRotation(ctx, log)
			}
		}
	}
	return sources
}

// ListUnread names logs that were not read whole, each with the reason. It asks again which containers have restarted: the log before a
// second restart is lost, and that before a first one was not read.
func (l *Logs) ListUnread(ctx context.Context) []string {
	if l == nil { // no cluster
		return nil
	}
	now, _, err := l.listContainers(ctx)
	if err != nil {
		return append(l.unread, "asking which containers have restarted: "+err.Error())
	}
	for c, before := range l.states {
		if after, exists := now[c]; exists && after.restarts != before.restarts {
			l.unread = append(l.unread, c.String()+": it restarted while it was read; run the command again")
		}
	}
	slices.Sort(l.unread)
	return l.unread
}

func (l *Logs) addLateBegin(log kept, begin time.Time, why string) {
	l.unread = append(l.unread, fmt.Sprintf("%s: what is left of its log begins at %s: %s", log, begin.UTC().Format(time.RFC3339), why))
}

// greeting is how soon after its start a container has logged its first line.
const greeting = 30 * time.Second

// findRotation finds a log whose first line came long after the container's start: of a log that a node has rotated, the API server
// returns the newest file.
func (l *Logs) findRotation(ctx context.Context, log kept) {
	line, err := l.request(log.container).Param("timestamps", "true").Param("limitBytes", "40").DoRaw(ctx)
	if err != nil {
		return // the log is read, and the error is reported, later
	}
	stamp, _, _ := strings.Cut(string(line), " ")
	first, err := time.Parse(time.RFC3339Nano, stamp)
	if err == nil && first.After(log.began.Add(greeting)) && first.After(l.config.Since) {
		l.addLateBegin(log, first, "the node has rotated what was before")
	}
}

func (l *Logs) request(c container) *rest.Request {
	request := l.logs.Get().AbsPath("/api/v1/namespaces", c.namespace, "pods", c.pod, "log").Param("container", c.name)
	if c.previous {
		request.Param("previous", "true")
	}
	return request
}

// open opens a log. One that cannot be read ends with the reason: the others still can.
func (l *Logs) open(ctx context.Context, c container) io.ReadCloser {
	stream, err := l.request(c).Param("sinceTime", l.config.Since.UTC().Format(time.RFC3339)).Stream(ctx)
	if kerrors.IsNotFound(err) {
		err = errors.New("its pod has ended")
	}
	if err != nil {
		return failedLog{err}
	}
	return stream
}

type failedLog struct{ err error }

func (l failedLog) Read([]byte) (int, error) { return 0, l.err }
func (failedLog) Close() error               { return nil }

// listContainers lists the containers that write records. A namespace whose pods cannot be listed is noted, if there are others.
func (l *Logs) listContainers(ctx context.Context) (states map[container]state, unread []string, err error) {
	states = map[container]state{}
	var last error
	for _, namespace := range l.config.Namespaces {
		err := kubeclient.VisitObjects(ctx, l.objects.Resource(pods).Namespace(namespace), metav1.ListOptions{}, func(pod *unstructured.Unstructured) error {
			readPod(states, pod)
			return nil
		})
		if kerrors.IsForbidden(err) && namespace == metav1.NamespaceAll {
			err = fmt.Errorf("%w; name the namespaces that you may read with --namespace", err)
		}
		if err != nil {
			last = fmt.Errorf("listing pods: %w", err)
			unread = append(unread, last.Error())
		}
	}
	if len(unread) == len(l.config.Namespaces) {
		return nil, nil, last
	}
	return states, unread, nil
}

// readPod adds the containers of a pod that write records.
func readPod(states map[container]state, pod *unstructured.Unstructured) {
	found := readStates(pod)
	for _, list := range []string{"initContainers", "containers"} {
		specs, _, _ := unstructured.NestedSlice(pod.Object, "spec", list)
		for _, spec := range specs {
			spec, _ := spec.(map[string]any)
			if !writesRecords(spec, list) {
				continue
			}
			name, _ := spec["name"].(string)
			s := found[name]
			s.greets = logsItsStart(spec)
			states[container{namespace: pod.GetNamespace(), pod: pod.GetName(), name: name}] = s
		}
	}
}

// readStates returns the states of a pod's containers by name.
func readStates(pod *unstructured.Unstructured) map[string]state {
	states := map[string]state{}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", list)
		for _, status := range statuses {
			status, _ := status.(map[string]any)
			name, _ := status["name"].(string)
			var s state
			s.restarts, _ = status["restartCount"].(int64)
			s.before = readTime(status, "lastState", "terminated", "startedAt")
			s.began = cmp.Or(readTime(status, "state", "running", "startedAt"), readTime(status, "state", "terminated", "startedAt"))
			states[name] = s
		}
	}
	return states
}

// readTime returns a time of a status; zero: it has none.
func readTime(status map[string]any, fields ...string) time.Time {
	text, _, _ := unstructured.NestedString(status, fields...)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// logsItsStart reports whether a container is one of those that log a line when they start: an Envoy, a gateway or an authorizer.
func logsItsStart(spec map[string]any) bool {
	args, _, _ := unstructured.NestedStringSlice(spec, "args")
	return spec["name"] == "istio-proxy" || hasPlugin(spec) || slices.Contains(args, "serve")
}

// writesRecords reports whether a container is an authorizer, a gateway with the plugin, or Istio's proxy. An init container
// is one only if it runs beside the others.
func writesRecords(spec map[string]any, list string) bool {
	if list == "initContainers" && spec["restartPolicy"] != "Always" {
		return false
	}
	name, _ := spec["name"].(string)
	image, _ := spec["image"].(string)
	return name == "istio-proxy" || strings.Contains(name, "meshpass") || strings.Contains(image, "meshpass") || hasPlugin(spec)
}

// hasPlugin reports whether a container is a gateway with the plugin.
func hasPlugin(spec map[string]any) bool {
	env, _ := spec["env"].([]any)
	return slices.ContainsFunc(env, func(variable any) bool {
		entry, _ := variable.(map[string]any)
		return entry["name"] == "MESHPASS_CONFIG"
	})
}
