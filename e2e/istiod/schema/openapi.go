package schema

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Kubernetes is the release whose OpenAPI documents are used: the one of the
// cluster that e2e-kind runs on.
const Kubernetes = "v1.37.2"

// documents is the folder with one OpenAPI document per group and version.
type documents string

// fetch returns the folder of a Go module, which holds what was published with
// it: checksums, cache and proxies are Go's own.
func fetch(ctx context.Context, module string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", module).Output()
	var got struct{ Dir, Error string }
	if len(out) > 0 {
		err = json.Unmarshal(out, &got)
	}
	if err == nil && got.Error != "" {
		err = errors.New(got.Error)
	}
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, err)
	}
	return got.Dir, nil
}

func fetchDocuments(ctx context.Context) (documents, error) {
	dir, err := fetch(ctx, "k8s.io/kubernetes@"+Kubernetes)
	if err != nil {
		return "", fmt.Errorf("cannot get Kubernetes' OpenAPI documents: %w", err)
	}
	return documents(filepath.Join(dir, "api", "openapi-spec", "v3")), nil
}

// schema returns the schema of a kind, with all references replaced by what they refer to.
func (d documents) schema(kind schema.GroupVersionKind) (*spec.Schema, error) {
	document, err := d.read(kind.GroupVersion())
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("neither Kubernetes %s nor Gateway API nor Istio has the kind %s", Kubernetes, kind)
	}
	if err != nil {
		return nil, err
	}
	for name, s := range document.Components.Schemas {
		if is(s, kind) {
			return resolver.PopulateRefs(document.lookUp, refPrefix+name)
		}
	}
	return nil, fmt.Errorf("Kubernetes %s has no kind %s", Kubernetes, kind)
}

func (d documents) read(version schema.GroupVersion) (*document, error) {
	name := "apis__" + version.Group + "__" + version.Version
	if version.Group == "" {
		name = "api__" + version.Version
	}
	data, err := os.ReadFile(filepath.Join(string(d), name+"_openapi.json"))
	if err != nil {
		return nil, err
	}
	var doc document
	return &doc, json.Unmarshal(data, &doc.OpenAPI)
}

type document struct{ spec3.OpenAPI }

const refPrefix = "#/components/schemas/"

func (d *document) lookUp(ref string) (*spec.Schema, bool) {
	s, ok := d.Components.Schemas[strings.TrimPrefix(ref, refPrefix)]
	return s, ok
}

// is tells by the extension with which Kubernetes marks the schemas of whole objects.
func is(s *spec.Schema, kind schema.GroupVersionKind) bool {
	marks, _ := s.Extensions["x-kubernetes-group-version-kind"].([]any)
	for _, mark := range marks {
		m, _ := mark.(map[string]any)
		if m["group"] == kind.Group && m["version"] == kind.Version && m["kind"] == kind.Kind {
			return true
		}
	}
	return false
}
