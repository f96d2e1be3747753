// Package registry gives tests an OCI registry on loopback, that of go-containerregistry, and pushes to it as `oras push` does.
package registry

import (
	"context"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"
)

// Registry is a running registry without TLS.
type Registry struct {
	Host string // such as 127.0.0.1:41234

	// Change changes answers; nil: they are not changed. Set it while no request runs.
	Change func(w http.ResponseWriter, r *http.Request, answer http.Handler)
}

// Start starts a registry that ends with the test.
func Start(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{}
	plain := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.Change != nil {
			r.Change(w, request, plain)
			return
		}
		plain.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.Host = strings.TrimPrefix(server.URL, "http://")
	return r
}

// File is a layer. Its name is the title; "": without a title.
type File struct{ Name, Content string }

// Files gives files in the order of their names.
func Files(content map[string]string) (files []File) {
	for _, name := range slices.Sorted(maps.Keys(content)) {
		files = append(files, File{name, content[name]})
	}
	return files
}

// Push makes name:tag name an artifact with these files, and returns the digest of its manifest.
func (r *Registry) Push(t testing.TB, name, tag string, files ...File) string {
	t.Helper()
	ctx := context.Background()
	repository, err := remote.NewRepository(r.Host + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	var layers []ocispec.Descriptor
	for _, f := range files {
		layer, err := oras.PushBytes(ctx, repository, "application/yaml", []byte(f.Content))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name != "" {
			layer.Annotations = map[string]string{ocispec.AnnotationTitle: f.Name}
		}
		layers = append(layers, layer)
	}
	options := oras.PackManifestOptions{Layers: layers, ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: "2026-01-01T00:00:00Z"}}
	manifest, err := oras.PackManifest(ctx, repository, oras.PackManifestVersion1_1, "application/vnd.meshpass.policies", options)
	if err == nil {
		err = repository.Tag(ctx, manifest, tag)
	}
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Digest.String()
}
