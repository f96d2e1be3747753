// Package schema checks objects by the schemas of an API server:
// Kubernetes' own OpenAPI documents, and the custom resource definitions of Istio
// and Gateway API.
//
// Both are checked by one piece of code, the API server's for custom resources:
// it is the only one that is published, and strict. A kind of Kubernetes is
// therefore made into a custom resource with the schema from its document.
package schema

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"istio.io/istio/pkg/config/crd"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Validator knows the kinds of one release of Kubernetes and of the Istio that is linked in.
type Validator struct {
	istio      *crd.Validator
	gatewayAPI *crd.Validator
	kubernetes map[schema.GroupVersionKind]*crd.Validator // as they were needed
	documents  documents
}

// New fetches the schemas of Kubernetes' and Gateway API's kinds, unless Go's
// module cache has it.
func New(ctx context.Context) (*Validator, error) {
	docs, err := fetchDocuments(ctx)
	if err != nil {
		return nil, err
	}
	gatewayAPI, err := gatewayKinds(ctx)
	if err != nil {
		return nil, fmt.Errorf("Gateway API's custom resource definitions: %w", err)
	}
	istio, err := istioKinds()
	if err != nil {
		return nil, fmt.Errorf("Istio's custom resource definitions: %w", err)
	}
	return &Validator{istio, gatewayAPI, map[schema.GroupVersionKind]*crd.Validator{}, docs}, nil
}

// Validate refuses unknown fields, wrong types, missing required fields, values
// outside an enumeration or pattern, and what a definition's CEL rules refuse.
func (v *Validator) Validate(o *unstructured.Unstructured) error {
	judge, err := v.of(o.GroupVersionKind())
	if err != nil {
		return err
	}
	err = judge.ValidateCustomResource(o.DeepCopy()) // it fills in defaults
	if err == nil {
		return nil
	}
	prefix := fmt.Sprintf("%s/%s/%s: ", o.GetKind(), o.GetName(), o.GetNamespace())
	return errors.New(strings.TrimPrefix(err.Error(), prefix))
}

// IsIstio reports whether a kind is one of Istio's.
func IsIstio(kind schema.GroupVersionKind) bool { return strings.HasSuffix(kind.Group, ".istio.io") }

func (v *Validator) of(kind schema.GroupVersionKind) (*crd.Validator, error) {
	if IsIstio(kind) {
		return v.istio, nil
	}
	if kind.Group == gatewayGroup {
		return v.gatewayAPI, nil
	}
	if known := v.kubernetes[kind]; known != nil {
		return known, nil
	}
	s, err := v.documents.schema(kind)
	if err != nil {
		return nil, err
	}
	judge, err := asCustomResource(kind, s)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", kind, err)
	}
	v.kubernetes[kind] = judge
	return judge, nil
}
