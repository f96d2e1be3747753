package schema

import (
	"encoding/json"

	"istio.io/istio/pkg/config/crd"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// asCustomResource makes a validator for one kind from its schema.
func asCustomResource(kind schema.GroupVersionKind, s *spec.Schema) (*crd.Validator, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var v1 apiextensionsv1.JSONSchemaProps
	if err := json.Unmarshal(data, &v1); err != nil {
		return nil, err
	}
	adapt(&v1)
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&v1, &props, nil); err != nil {
		return nil, err
	}
	return crd.NewValidatorFromCRDsWithOptions([]apiextensions.CustomResourceDefinition{{
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: kind.Group,
			Names: apiextensions.CustomResourceDefinitionNames{Kind: kind.Kind},
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name:   kind.Version,
				Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &props},
			}},
		},
	}}, crd.WithoutCRDValidation())
}

// adapt writes a schema as custom resources have theirs. "A number or a text"
// (ports, quantities) Kubernetes' documents say with oneOf, which they use for
// nothing else. Their defaults are Go's zero values, which would stand in for
// required fields that are missing.
func adapt(s *apiextensionsv1.JSONSchemaProps) {
	if len(s.OneOf) > 0 {
		*s = apiextensionsv1.JSONSchemaProps{XIntOrString: true}
	}
	s.Default = nil
	for name, p := range s.Properties {
		adapt(&p)
		s.Properties[name] = p
	}
	if s.Items != nil && s.Items.Schema != nil {
		adapt(s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		adapt(s.AdditionalProperties.Schema)
	}
}
