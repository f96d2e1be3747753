package kubekeys

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/meshpass/meshpass/shared/keyset"
)

// ObjectName names an object, as NAMESPACE/NAME.
type ObjectName struct{ Namespace, Name string }

func (n ObjectName) String() string { return n.Namespace + "/" + n.Name }

// Set parses NAMESPACE/NAME, as the value of a flag.
func (n *ObjectName) Set(text string) error {
	namespace, name, ok := strings.Cut(text, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("want NAMESPACE/NAME")
	}
	*n = ObjectName{Namespace: namespace, Name: name}
	return nil
}

// object is the place of a Secret or a ConfigMap.
type object struct {
	client dynamic.ResourceInterface
	kind   string
	name   ObjectName
}

func (o object) String() string { return o.kind + " " + o.name.String() }

// content is an object with the resource version that was read, or a new object.
type content struct {
	object *unstructured.Unstructured
	data   map[string]string // of a Secret: in base64
	isNew  bool
}

func (o object) readContent(ctx context.Context) (content, error) {
	found, err := o.client.Get(ctx, o.name.Name, meta.GetOptions{})
	if errors.IsNotFound(err) {
		return o.newContent(), nil
	}
	if err != nil {
		return content{}, fmt.Errorf("%v: %w", o, err)
	}
	data, _, err := unstructured.NestedStringMap(found.Object, "data")
	if err != nil {
		return content{}, fmt.Errorf("%v: its data cannot be read", o)
	}
	if data == nil {
		data = map[string]string{}
	}
	return content{object: found, data: data}, nil
}

func (o object) newContent() content {
	made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": o.kind}}
	made.SetNamespace(o.name.Namespace)
	made.SetName(o.name.Name)
	return content{object: made, data: map[string]string{}, isNew: true}
}

// writeContent fails with a conflict if the object has changed since it was read.
func (o object) writeContent(ctx context.Context, c content) (err error) {
	if err := unstructured.SetNestedStringMap(c.object.Object, c.data, "data"); err != nil {
		return fmt.Errorf("%v: %w", o, err)
	}
	if c.isNew {
		_, err = o.client.Create(ctx, c.object, meta.CreateOptions{})
	} else {
		_, err = o.client.Update(ctx, c.object, meta.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("%v: %w", o, err)
	}
	return nil
}

func (c content) text(name string) string { return c.data[name] }

func (c content) setText(name, text string) { c.data[name] = text }

// keyFiles of a key directory; other entries of the Secret are ignored.
func (c content) keyFiles() (keyset.Files, error) {
	files := keyset.Files{}
	for name, encoded := range c.data {
		if !keyset.IsKeyFile(name) {
			continue
		}
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("Secret %s/%s: %s is not base64", c.object.GetNamespace(), c.object.GetName(), name)
		}
		files[name] = data
	}
	return files, nil
}

// setKeyFiles leaves out private keys that keys.yaml does not name, for example a key that
// was added by hand: gateways would mount a private key that is not used.
func (c content) setKeyFiles(files keyset.Files) (changed bool, err error) {
	stray, err := files.StrayFiles()
	if err != nil {
		return false, err
	}
	before := maps.Clone(c.data)
	maps.DeleteFunc(c.data, func(name, _ string) bool { return keyset.IsKeyFile(name) })
	for name, data := range files {
		if !slices.Contains(stray, name) {
			c.data[name] = base64.StdEncoding.EncodeToString(data)
		}
	}
	return !maps.Equal(before, c.data), nil
}
