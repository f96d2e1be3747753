package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// source names the places of the control plane's input.
type source struct {
	mesh string   // file with the IstioOperator
	dirs []string // folders whose *.yaml and *.yml are read, without subfolders
}

// file is one input, kept as bytes so that what is parsed is what was hashed.
type file struct {
	path string
	data []byte
}

// load reads all files: the mesh file first, then each folder's by name.
func (s source) load() ([]file, error) {
	paths := []string{s.mesh}
	for _, dir := range s.dirs {
		found, err := yamlFiles(dir)
		if err != nil {
			return nil, err
		}
		paths = append(paths, found...)
	}
	return readAll(paths)
}

func yamlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(e.Name())) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: no *.yaml in this folder", dir)
	}
	return paths, nil
}

func readAll(paths []string) ([]file, error) {
	var files []file
	var errs []error
	for _, path := range paths {
		data, err := os.ReadFile(path)
		files, errs = append(files, file{path, data}), append(errs, err)
	}
	return files, errors.Join(errs...)
}

// digest distinguishes two states of the input.
func digest(files []file) [sha256.Size]byte {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%q %d\n", f.path, len(f.data))
		h.Write(f.data)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
