package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/operator/pkg/values"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/kube"
	"istio.io/istio/pkg/util/protomarshal"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/yaml"
)

var (
	operator = header{APIVersion: "install.istio.io/v1alpha1", Kind: "IstioOperator"}
	// Strict, as kubectl is: an unknown field is a mistake.
	kubernetes = serializer.NewCodecFactory(kube.IstioScheme, serializer.EnableStrict).UniversalDeserializer()
)

// meshOverlay is the spec.meshConfig of an IstioOperator, without unknown fields.
func meshOverlay(doc []byte) (values.Map, error) {
	var o struct {
		header
		Spec struct {
			MeshConfig json.RawMessage `json:"meshConfig"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(doc, &o); err != nil {
		return nil, err
	}
	if o.header != operator || len(o.Spec.MeshConfig) == 0 {
		return nil, fmt.Errorf("want an IstioOperator (%s) with spec.meshConfig", operator.APIVersion)
	}
	if err := protomarshal.ApplyJSONStrict(string(o.Spec.MeshConfig), &meshconfig.MeshConfig{}); err != nil {
		return nil, fmt.Errorf("spec.meshConfig: %w", err)
	}
	return values.MapFromJSON(o.Spec.MeshConfig)
}

func istioSchema(h header) (resource.Schema, bool) {
	gvk := schema.FromAPIVersionAndKind(h.APIVersion, h.Kind)
	return collections.PilotGatewayAPI().FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk))
}

// parseConfig applies the same checks as Istio's admission webhook, and the
// API server's own against unknown fields.
func parseConfig(s resource.Schema, doc []byte) (config.Config, error) {
	var o crd.IstioKind
	if err := yaml.UnmarshalStrict(doc, &o); err != nil {
		return config.Config{}, err
	}
	if o.Name == "" {
		return config.Config{}, errors.New("metadata.name is required")
	}
	c, err := crd.ConvertObjectInternal(s, &o, "", strictSpec)
	if err != nil {
		return config.Config{}, fmt.Errorf("%s %s: %w", o.Kind, o.Name, err)
	}
	if c.Namespace == "" && !s.IsClusterScoped() {
		c.Namespace = "default"
	}
	// One age for all: Istio breaks ties by age, and then by name.
	c.CreationTimestamp = time.Unix(0, 0)
	if _, err := s.ValidateConfig(*c); err != nil {
		return config.Config{}, fmt.Errorf("%s %s: %w", o.Kind, o.Name, err)
	}
	return *c, nil
}

// readFromKubernetes holds for kinds that Istio's ambient index and its Gateway
// API controller read past the configuration store.
func readFromKubernetes(c config.Config) bool {
	switch c.GroupVersionKind.Group {
	case gvk.KubernetesGateway.Group, gvk.AuthorizationPolicy.Group:
		return true
	}
	return c.GroupVersionKind == gvk.ServiceEntry || c.GroupVersionKind == gvk.WorkloadEntry
}

func strictSpec(s resource.Schema, js string) (config.Spec, error) {
	spec, err := s.NewInstance()
	if err != nil {
		return nil, err
	}
	return spec, config.ApplyJSONStrict(spec, js)
}

func parseObject(doc []byte) (runtime.Object, error) {
	o, _, err := kubernetes.Decode(doc, nil, nil)
	return o, err
}
