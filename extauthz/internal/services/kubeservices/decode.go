package kubeservices

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// DecodeList reads Services as kubectl prints them, in YAML or JSON: one, a list, or a
// stream of both. Other objects are rejected: such a file was not made for this purpose.
func DecodeList(from io.Reader) ([]Service, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(from, 4096)
	var all []Service
	for {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if all, err = appendObject(all, raw); err != nil {
			return nil, err
		}
	}
}

func appendObject(all []Service, raw json.RawMessage) ([]Service, error) {
	var head struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}
	if len(raw) == 0 || string(raw) == "null" { // between the --- of a stream
		return all, nil
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return nil, err
	}
	switch {
	case head.APIVersion == "v1" && head.Kind == "Service":
		var service Service
		err := json.Unmarshal(raw, &service)
		return append(all, service), err
	case head.APIVersion == "v1" && (head.Kind == "List" || head.Kind == "ServiceList"):
		var err error
		for i, item := range head.Items {
			if all, err = appendItem(all, item, head.Kind); err != nil {
				return nil, fmt.Errorf("items[%d]: %w", i, err)
			}
		}
		return all, nil
	}
	return nil, fmt.Errorf("%q of %q is not a Service: want the output of kubectl get services -o yaml", head.Kind, head.APIVersion)
}

// appendItem appends an item of a list. The items of a ServiceList may lack kind and
// apiVersion.
func appendItem(all []Service, raw json.RawMessage, list string) ([]Service, error) {
	if list == "List" {
		return appendObject(all, raw)
	}
	var service Service
	err := json.Unmarshal(raw, &service)
	return append(all, service), err
}
