// Package kustomize builds overlays as `kubectl kustomize` does, and remembers
// the file of each object.
package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// Object is one object of a built overlay.
type Object struct {
	File string // the object's file, or the kustomization that generates it
	YAML []byte
}

// Find lists the folders under root that hold a kustomization. A Component is none: it is built with what it belongs to.
func Find(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains(konfig.RecognizedKustomizationFileNames(), entry.Name()) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var file struct{ Kind string }
		if err := yaml.Unmarshal(text, &file); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if file.Kind != types.ComponentKind {
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	if err == nil && len(dirs) == 0 {
		err = fmt.Errorf("%s: no folder with a kustomization.yaml", root)
	}
	return dirs, err
}

// Build returns the objects of the overlay in a folder.
func Build(dir string) (objects []Object, err error) {
	wrapper, err := wrap(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(wrapper)) }()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), wrapper)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	for _, r := range built.Resources() {
		o, err := object(r, wrapper)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// wrap makes a kustomization around the one in dir, as only a kustomization can
// ask for the origin of its objects. Its folder has to be removed.
func wrap(dir string) (string, error) {
	wrapper, err := os.MkdirTemp("", "kustomize-")
	if err != nil {
		return "", err
	}
	resolved, err := realPath(wrapper)
	if err != nil {
		return "", err
	}
	if dir, err = realPath(dir); err != nil {
		return "", err
	}
	base, err := filepath.Rel(resolved, dir) // kustomize refuses absolute paths
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("resources: [%q]\nbuildMetadata: [%s]\n", base, "originAnnotations")
	return resolved, os.WriteFile(filepath.Join(resolved, konfig.DefaultKustomizationFileName()), []byte(text), 0o600)
}

// realPath is absolute and has no symbolic link: relative paths between two such are true.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

func object(r *resource.Resource, wrapper string) (Object, error) {
	origin, err := r.GetOrigin()
	if err != nil {
		return Object{}, err
	}
	file, err := shorten(filepath.Join(wrapper, originPath(origin)))
	if err != nil {
		return Object{}, err
	}
	if err := r.SetOrigin(nil); err != nil { // no part of what is applied
		return Object{}, err
	}
	text, err := r.AsYAML()
	return Object{File: file, YAML: text}, err
}

func originPath(o *resource.Origin) string {
	if o.ConfiguredIn != "" {
		return o.ConfiguredIn
	}
	return o.Path
}

// shorten makes a path relative to the working directory, for people.
func shorten(path string) (string, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.Rel(here, path)
}
