package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/operator/pkg/values"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"k8s.io/apimachinery/pkg/runtime"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// manifests is the whole configuration of the control plane.
type manifests struct {
	mesh    *meshconfig.MeshConfig
	spec    values.Map       // the spec.meshConfig of all IstioOperators; mesh is made from it
	objects []runtime.Object // Kubernetes' own kinds, and what Istio reads from Kubernetes itself
	configs []config.Config  // Istio's kinds
}

// header is what every document must say about itself.
type header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

// parse reads files as load returned them. All faulty files are reported
// together, each with its name.
func parse(files []file) (*manifests, error) {
	m := &manifests{spec: values.Map{}}
	var errs []error
	if err := m.overlay(files[0].data); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", files[0].path, err))
	}
	for _, f := range files[1:] {
		if err := m.addFile(f); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.path, err))
		}
	}
	addressGateways(m.objects)
	return m, errors.Join(errs...)
}

func (m *manifests) addFile(f file) error {
	docs, err := documents(f.data)
	if err != nil {
		return err
	}
	for i, doc := range docs {
		if err := m.add(doc); err != nil {
			return fmt.Errorf("document %d: %w", i+1, err)
		}
	}
	return nil
}

// documents splits a file. One that holds nothing is refused: it is being
// written, or it is a mistake.
func documents(data []byte) ([][]byte, error) {
	var docs [][]byte
	reader := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		doc, err := reader.Read()
		switch {
		case errors.Is(err, io.EOF) && len(docs) == 0:
			return nil, errors.New("the file holds no object")
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, err
		}
		if !blank(doc) {
			docs = append(docs, doc)
		}
	}
}

// blank reports whether a document holds only space and comments.
func blank(doc []byte) bool {
	var content any
	return yaml.Unmarshal(doc, &content) == nil && content == nil
}

// overlay merges the spec.meshConfig of an IstioOperator into those before it, by the code by which
// istioctl does so with each further -f: a list takes the place of the whole one before. To the API
// server it is no object. What istioctl's profiles add (metrics by a filter that upstream's Envoy
// lacks) is left out.
func (m *manifests) overlay(doc []byte) error {
	spec, err := meshOverlay(doc)
	if err != nil {
		return err
	}
	m.spec.MergeFrom(spec)
	if m.mesh, err = mesh.ApplyMeshConfigDefaults(m.spec.YAML()); err != nil {
		return fmt.Errorf("spec.meshConfig: %w", err)
	}
	return nil
}

func (m *manifests) add(doc []byte) error {
	var h header
	if err := yaml.Unmarshal(doc, &h); err != nil {
		return err
	}
	if h.APIVersion == "" || h.Kind == "" {
		return errors.New("apiVersion and kind are required")
	}
	if h == operator {
		return m.overlay(doc)
	}
	if schema, ok := istioSchema(h); ok {
		c, err := parseConfig(schema, doc)
		m.configs = append(m.configs, c)
		if err != nil || !readFromKubernetes(c) {
			return err
		}
	}
	o, err := parseObject(doc)
	m.objects = append(m.objects, o)
	return err
}
