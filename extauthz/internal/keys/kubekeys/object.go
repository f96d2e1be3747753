package kubekeys

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/meshpass/meshpass/shared/keyset"
)

// object is where a Secret or a ConfigMap is.
type object struct {
	client dynamic.ResourceInterface
	kind   string
	name   ObjectName
}

func (o object) String() string { return o.kind + " " + o.name.String() }

// content is an object as it was read, with its resource version, or a new one.
type content struct {
	*unstructured.Unstructured
	data map[string]string // of a Secret: in base64
	new  bool
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
	return content{found, data, false}, nil
}

func (o object) newContent() content {
	made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": o.kind}}
	made.SetNamespace(o.name.Namespace)
	made.SetName(o.name.Name)
	return content{made, map[string]string{}, true}
}

// writeContent fails with a conflict if the object is not as it was read.
func (o object) writeContent(ctx context.Context, c content) (err error) {
	if err := unstructured.SetNestedStringMap(c.Object, c.data, "data"); err != nil {
		return fmt.Errorf("%v: %w", o, err)
	}
	if c.new {
		_, err = o.client.Create(ctx, c.Unstructured, meta.CreateOptions{})
	} else {
		_, err = o.client.Update(ctx, c.Unstructured, meta.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("%v: %w", o, err)
	}
	return nil
}

func (c content) text(name string) string { return c.data[name] }

func (c content) setText(name, text string) { c.data[name] = text }

// keyFiles of a key directory; whatever else is in the Secret is nobody's business here.
func (c content) keyFiles() (keyset.Files, error) {
	files := keyset.Files{}
	for name, encoded := range c.data {
		if !keyset.IsKeyFile(name) {
			continue
		}
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("Secret %s/%s: %s is not base64", c.GetNamespace(), c.GetName(), name)
		}
		files[name] = data
	}
	return files, nil
}

// setKeyFiles leaves out the keys that keys.yaml does not name, such as one that was
// put there by hand: gateways would carry a private key that nothing uses.
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
