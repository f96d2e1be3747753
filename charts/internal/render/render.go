// Package render gives the objects of a chart, as Helm 4 and Helm 3 make them, and those of a kustomization.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	common4 "helm.sh/helm/v4/pkg/chart/common"
	util4 "helm.sh/helm/v4/pkg/chart/common/util"
	loader4 "helm.sh/helm/v4/pkg/chart/v2/loader"
	engine4 "helm.sh/helm/v4/pkg/engine"

	loader3 "helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	engine3 "helm.sh/helm/v3/pkg/engine"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Release is what `helm install` gets.
type Release struct {
	Chart     string // its folder
	Name      string
	Namespace string
	Values    map[string]any
}

// Object is an object of Kubernetes, as JSON gives it.
type Object = map[string]any

// Helm4 renders with Helm 4, which first checks the values by the chart's schema.
func Helm4(r Release) ([]Object, error) {
	files, err := renderFiles(r)
	if err != nil {
		return nil, err
	}
	return parseFiles(files)
}

// Notes gives the text that Helm prints after an installation.
func Notes(r Release) (string, error) {
	files, err := renderFiles(r)
	return files[filepath.Base(r.Chart)+"/templates/"+notesFile], err
}

const notesFile = "NOTES.txt"

func renderFiles(r Release) (map[string]string, error) {
	chart, err := loader4.LoadDir(r.Chart)
	if err != nil {
		return nil, err
	}
	options := common4.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true}
	values, err := util4.ToRenderValues(chart, r.Values, options, common4.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine4.Render(chart, values)
}

// Helm3 renders with Helm 3.
func Helm3(r Release) ([]Object, error) {
	chart, err := loader3.LoadDir(r.Chart)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: true}
	values, err := chartutil.ToRenderValues(chart, r.Values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine3.Render(chart, values)
	if err != nil {
		return nil, err
	}
	return parseFiles(files)
}

// parseFiles parses all templates but the notes, in the order of their names.
func parseFiles(files map[string]string) (objects []Object, err error) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if filepath.Base(name) == notesFile {
			continue
		}
		found, err := Parse([]byte(files[name]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// Kustomize builds the kustomization that has these resources and components.
func Kustomize(resources, components []string) (objects []Object, err error) {
	dir, err := os.MkdirTemp("", "kustomize-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	lists := map[string][]string{}
	for key, folders := range map[string][]string{"resources": resources, "components": components} {
		for _, folder := range folders {
			relative, err := relativePath(dir, folder) // kustomize rejects absolute paths
			if err != nil {
				return nil, err
			}
			lists[key] = append(lists[key], relative)
		}
	}
	text, err := yaml.Marshal(lists)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600)
	}
	if err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	all, err := built.AsYaml()
	if err != nil {
		return nil, err
	}
	return Parse(all)
}

func relativePath(from, to string) (string, error) {
	to, err := filepath.Abs(to)
	if err == nil {
		to, err = filepath.EvalSymlinks(to)
	}
	if err == nil {
		from, err = filepath.EvalSymlinks(from)
	}
	if err != nil {
		return "", err
	}
	return filepath.Rel(from, to)
}

// Parse reads the objects of a text with several documents. Empty documents are left out.
func Parse(text []byte) (objects []Object, err error) {
	for doc := range bytes.SplitSeq(append([]byte("\n"), text...), []byte("\n---")) {
		var o Object
		if err := yaml.UnmarshalStrict(append(doc[:len(doc):len(doc)], '\n'), &o); err != nil { // the last line of a text that ends a document
			return nil, fmt.Errorf("%w in\n%s", err, doc)
		}
		if len(o) > 0 {
			objects = append(objects, o)
		}
	}
	return objects, nil
}

// Write writes the objects as one text.
func Write(to io.Writer, objects []Object) error {
	for _, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(to, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}

// Name is the kind, namespace and name of an object.
func Name(o Object) string {
	metadata, _ := o["metadata"].(Object)
	return strings.Join([]string{fmt.Sprint(o["kind"]), fmt.Sprint(metadata["namespace"]), fmt.Sprint(metadata["name"])}, " ")
}
