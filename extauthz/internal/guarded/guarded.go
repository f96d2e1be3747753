// Package guarded finds the workloads of a cluster that rely on Meshpass. It only reads.
package guarded

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	kerrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
)

const (
	label = "meshpass.dev/guarded"
	// observe is the value of the label that guards nothing: without an answer its requests are allowed.
	observe     = "observe"
	gatewayName = "gateway.networking.k8s.io/gateway-name" // the label of the pods of a Gateway
)

var (
	pods                  = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	services              = schema.GroupVersionResource{Version: "v1", Resource: "services"}
	authorizationPolicies = schema.GroupVersionResource{Group: "security.istio.io", Version: "v1", Resource: "authorizationpolicies"}
)

// ObjectName names an object of a namespace.
type ObjectName struct{ Namespace, Name string }

// ParseObjectName reads NAMESPACE/NAME.
func ParseObjectName(text string) (ObjectName, error) {
	namespace, name, found := strings.Cut(text, "/")
	if !found || namespace == "" || name == "" || strings.Contains(name, "/") {
		return ObjectName{}, fmt.Errorf("want NAMESPACE/NAME, not %q", text)
	}
	return ObjectName{namespace, name}, nil
}

// Question names the object that is removed.
type Question struct {
	Policies      []ObjectName // these AuthorizationPolicies; without any: the authorizer
	RootNamespace string       // of Istio: a policy there selects pods of all namespaces
}

// Workload is a workload that relies on Meshpass.
type Workload struct {
	Name  string `json:"workload"` // ns/NAMESPACE/sa/SERVICEACCOUNT
	Label string `json:"label"`    // KEY=VALUE, by which it is guarded
	Pods  int    `json:"pods"`
}

// Report is the answer.
type Report struct {
	Workloads []Workload `json:"workloads"` // by name
}

// HasNone reports whether nothing relies on Meshpass.
func (r Report) HasNone() bool { return len(r.Workloads) == 0 }

// Print prints the report for people.
func (r Report) Print(to io.Writer) error {
	if r.HasNone() {
		_, err := fmt.Fprintln(to, "no workload relies on it")
		return err
	}
	var text strings.Builder
	for _, w := range r.Workloads {
		fmt.Fprintf(&text, "%s: pods: %d, %s\n", w.Name, w.Pods, w.Label)
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// Find lists the workloads that rely on what the question names. A policy that does not exist guards nothing.
func Find(ctx context.Context, client dynamic.Interface, q Question) (Report, error) {
	selections := []selection{{selector: label + "," + label + "!=" + observe, key: label}}
	if len(q.Policies) > 0 {
		selections = nil
	}
	for _, name := range q.Policies {
		policy, err := client.Resource(authorizationPolicies).Namespace(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
		if kerrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return Report{}, fmt.Errorf("reading the AuthorizationPolicy %s/%s: %w", name.Namespace, name.Name, err)
		}
		found, err := readSelections(policy, q.RootNamespace)
		if err != nil {
			return Report{}, fmt.Errorf("AuthorizationPolicy %s/%s: %w", name.Namespace, name.Name, err)
		}
		selections = append(selections, found...)
	}
	counts := map[Workload]int{}
	for _, s := range selections {
		if err := s.countPods(ctx, client, counts); err != nil {
			return Report{}, fmt.Errorf("listing the pods with %s: %w", s.selector, err)
		}
	}
	report := Report{Workloads: []Workload{}}
	for w, count := range counts {
		w.Pods = count
		report.Workloads = append(report.Workloads, w)
	}
	slices.SortFunc(report.Workloads, func(a, b Workload) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Label, b.Label))
	})
	return report, nil
}

// HasPort reports whether a Service exists and has this port.
func HasPort(ctx context.Context, client dynamic.Interface, name ObjectName, port int64) (bool, error) {
	service, err := client.Resource(services).Namespace(name.Namespace).Get(ctx, name.Name, metav1.GetOptions{})
	if kerrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the Service %s/%s: %w", name.Namespace, name.Name, err)
	}
	ports, _, err := unstructured.NestedSlice(service.Object, "spec", "ports")
	if err != nil {
		return false, fmt.Errorf("Service %s/%s: %w", name.Namespace, name.Name, err)
	}
	return slices.ContainsFunc(ports, func(p any) bool {
		fields, _ := p.(map[string]any)
		return fields["port"] == port
	}), nil
}

// selection is the pods of one selector.
type selection struct {
	namespace string // empty: all
	selector  string
	key       string // of the label that is shown
}

// readSelections gives what a policy selects: by labels, by Gateways, or all pods of its namespace.
func readSelections(policy *unstructured.Unstructured, rootNamespace string) (all []selection, err error) {
	namespace := policy.GetNamespace()
	if namespace == rootNamespace {
		namespace = ""
	}
	wanted, found, err := unstructured.NestedStringMap(policy.Object, "spec", "selector", "matchLabels")
	if err != nil {
		return nil, err
	}
	if found {
		keys := make([]string, 0, len(wanted))
		for key := range wanted {
			keys = append(keys, key)
		}
		return []selection{{namespace, labels.SelectorFromSet(wanted).String(), slices.Min(keys)}}, nil
	}
	targets, found, err := unstructured.NestedSlice(policy.Object, "spec", "targetRefs")
	if err != nil {
		return nil, err
	}
	if !found {
		return []selection{{namespace: namespace}}, nil
	}
	for _, target := range targets {
		fields, _ := target.(map[string]any)
		name, _ := fields["name"].(string)
		if fields["kind"] != "Gateway" {
			return nil, fmt.Errorf("its target %v %s is not a Gateway", fields["kind"], name)
		}
		all = append(all, selection{policy.GetNamespace(), labels.SelectorFromSet(labels.Set{gatewayName: name}).String(), gatewayName})
	}
	return all, nil
}

// countPods adds the pods that run or will run, and no pod that is ending.
func (s selection) countPods(ctx context.Context, client dynamic.Interface, counts map[Workload]int) error {
	list := client.Resource(pods).Namespace(s.namespace)
	return kubeclient.VisitObjects(ctx, list, metav1.ListOptions{LabelSelector: s.selector}, func(pod *unstructured.Unstructured) error {
		phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
		if phase == "Succeeded" || phase == "Failed" || pod.GetDeletionTimestamp() != nil {
			return nil
		}
		account, _, _ := unstructured.NestedString(pod.Object, "spec", "serviceAccountName")
		w := Workload{Name: "ns/" + pod.GetNamespace() + "/sa/" + cmp.Or(account, "default")}
		if s.key != "" {
			w.Label = s.key + "=" + pod.GetLabels()[s.key]
		}
		counts[w]++
		return nil
	})
}
