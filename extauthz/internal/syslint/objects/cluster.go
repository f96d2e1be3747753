package objects

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
)

// ReadCluster reads all objects that checks read. Secrets are read only if withSecrets. Kinds that the cluster does not have are left out;
// kinds that may not be read are named.
func (r *Reader) ReadCluster(ctx context.Context, client dynamic.Interface, source string, withSecrets bool) error {
	for _, group := range slices.Sorted(maps.Keys(checkedKinds)) {
		kinds := checkedKinds[group]
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			if info := kinds[kind]; info.plural != "" && (kind != "Secret" || withSecrets) {
				if err := r.listKind(ctx, client, source, group, kind, info); err != nil {
					return err
				}
			}
		}
	}
	if !withSecrets {
		r.Set.Notes = append(r.Set.Notes, source+": Secrets were not read: --include-secrets reads them")
	}
	return nil
}

func (r *Reader) listKind(ctx context.Context, client dynamic.Interface, source, group, kind string, info kindInfo) error {
	for _, version := range strings.Fields(info.versions) {
		resource := client.Resource(schema.GroupVersionResource{Group: group, Version: version, Resource: info.plural})
		err := kubeclient.VisitObjects(ctx, resource, metav1.ListOptions{}, func(item *unstructured.Unstructured) error {
			if isOwned(item.GetOwnerReferences(), kind) {
				return nil // the Deployment or CronJob is checked
			}
			item.SetManagedFields(nil)
			text, err := item.MarshalJSON()
			if err != nil {
				r.Set.addUnchecked(Place{Source: source, Object: titleOf(kind, item.GetNamespace(), item.GetName())}, err.Error())
				return nil
			}
			r.readRendered(source, text)
			return nil
		})
		switch {
		case apierrors.IsNotFound(err):
			continue // the cluster does not have this version
		case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
			r.Set.addUnchecked(Place{Source: source, Object: kind}, fmt.Sprintf("no right to list %s: %s", info.plural, apierrors.ReasonForError(err)))
			return nil
		case err != nil:
			return fmt.Errorf("%s: listing %s: %w", source, info.plural, err)
		}
		r.Set.IsWholeCluster = r.Set.IsWholeCluster || kind == "ConfigMap"
		return nil
	}
	return nil
}

// isOwned reports a pod, replica set or job that a workload above it manages.
func isOwned(owners []metav1.OwnerReference, kind string) bool {
	return len(owners) > 0 && slices.Contains([]string{"Pod", "ReplicaSet", "Job"}, kind) &&
		slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool {
			return slices.Contains([]string{"ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Rollout"}, o.Kind)
		})
}
