package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/e2e/istiod/kustomize"
	"github.com/meshpass/meshpass/e2e/istiod/schema"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// errFound is the error of faulty manifests, as opposed to a fault of the program.
var errFound = errors.New("a cluster would refuse these manifests")

// validate builds every overlay under the folders, and checks each object as
// kubectl, the API server and Istio's admission webhook would.
func validate(ctx context.Context, s source, out io.Writer) error {
	files, err := readAll([]string{s.mesh})
	if err != nil {
		return err
	}
	if _, err := parse(files); err != nil {
		return fmt.Errorf("%w\n%w", errFound, err)
	}
	schemas, err := schema.New(ctx)
	if err != nil {
		return err
	}
	var overlays []overlay
	for _, root := range s.dirs {
		dirs, err := kustomize.Find(root)
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			overlays = append(overlays, judge(schemas, dir))
		}
	}
	return report(out, overlays)
}

// overlay is what was found in one folder.
type overlay struct {
	dir               string
	kubernetes, istio int // objects
	problems          []string
}

func judge(schemas *schema.Validator, dir string) overlay {
	o := overlay{dir: dir}
	objects, err := kustomize.Build(dir)
	if err != nil {
		o.problems = append(o.problems, err.Error())
	}
	for _, object := range objects {
		var u unstructured.Unstructured
		err := yaml.Unmarshal(object.YAML, &u)
		if err == nil {
			o.count(u)
			err = judgeObject(schemas, u, object.YAML)
		}
		if err != nil {
			o.problems = append(o.problems, fmt.Sprintf("%s: %s %s: %v", object.File, u.GetKind(), u.GetName(), err))
		}
	}
	return o
}

func (o *overlay) count(u unstructured.Unstructured) {
	if schema.IsIstio(u.GroupVersionKind()) {
		o.istio++
	} else {
		o.kubernetes++
	}
}

// judgeObject asks the schema first: it names the place of a mistake best. What
// it lets pass, the types and the webhook's own checks may still refuse.
func judgeObject(schemas *schema.Validator, u unstructured.Unstructured, doc []byte) error {
	err := schemas.Validate(&u)
	if err == nil {
		err = new(manifests).add(doc)
	}
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), fmt.Sprintf("%s %s: ", u.GetKind(), u.GetName())))
}

// report prints one row per overlay, and then what is wrong, once: an object
// is in its own overlay and in each that is built on it.
func report(out io.Writer, overlays []overlay) error {
	width := len("overlay")
	for _, o := range overlays {
		width = max(width, len(o.dir))
	}
	fmt.Fprintf(out, "%-*s  Kubernetes  Istio  problems\n", width, "overlay")
	var problems []string
	for _, o := range overlays {
		fmt.Fprintf(out, "%-*s  %10d  %5d  %8d\n", width, o.dir, o.kubernetes, o.istio, len(o.problems))
		problems = append(problems, o.problems...)
	}
	slices.Sort(problems)
	problems = slices.Compact(problems)
	for _, p := range problems {
		fmt.Fprintln(out, p)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %d to fix", errFound, len(problems))
	}
	return nil
}
