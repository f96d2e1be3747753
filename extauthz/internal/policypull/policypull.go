// Package policypull keeps a folder at the documents of an OCI artifact in a registry.
//
// Each version has a folder of its own, named by the digest of the artifact's manifest, and the link
// [Link] leads to the present one. A version is complete before the link is swapped, and the ones before are removed afterwards.
// A reader that resolves the link first, as the authorizer does, sees one version.
package policypull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/meshpass/meshpass/shared/policy/source"
)

// Link is the name of the link to the present version.
const Link = "current"

const (
	versionPrefix = "sha256-" // of the folder of a version; a colon would end a path in lists of paths
	tempPattern   = ".pull-*"

	maxManifestBytes = 1 << 20
	maxTotalBytes    = 64 << 20 // of all documents
)

// Artifact is an artifact in a registry.
type Artifact struct{ repository *remote.Repository }

// Open parses a reference, REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST. Nothing is asked yet. Credentials are those of Docker's
// configuration file. plainHTTP is for a registry without TLS.
func Open(reference string, plainHTTP bool) (*Artifact, error) {
	repository, err := remote.NewRepository(reference)
	if err == nil && repository.Reference.Reference == "" {
		err = errors.New("no tag and no digest")
	}
	if err != nil {
		return nil, fmt.Errorf("%q: want REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST: %w", reference, err)
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("credentials of registries: %w", err)
	}
	repository.PlainHTTP = plainHTTP
	repository.Client = &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: credentials.Credential(store)}
	return &Artifact{repository}, nil
}

// Pulled is the present version in a folder.
type Pulled struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`  // of the manifest
	Folder    string `json:"folder"`  // of the documents: the link
	Files     int    `json:"files"`   // in it
	Changed   bool   `json:"changed"` // by this pull
}

// Pull makes the link in dir lead to what the reference names now. With an error, the link is as before.
func (a *Artifact) Pull(ctx context.Context, dir string) (Pulled, error) {
	reference := a.repository.Reference.String()
	manifest, err := a.repository.Resolve(ctx, a.repository.Reference.Reference)
	if err != nil {
		return Pulled{}, fmt.Errorf("%s: %w", reference, err)
	}
	if manifest.Digest.Algorithm() != "sha256" { // the only one with a name of a folder
		return Pulled{}, fmt.Errorf("%s: digest %s: want sha256", reference, manifest.Digest)
	}
	pulled := Pulled{Reference: reference, Digest: manifest.Digest.String(), Folder: filepath.Join(dir, Link)}
	version := versionPrefix + manifest.Digest.Encoded()
	pulled.Changed, err = a.activate(ctx, dir, version, manifest)
	if err != nil {
		return Pulled{}, fmt.Errorf("%s: %w", reference, err)
	}
	files, err := os.ReadDir(pulled.Folder)
	pulled.Files = len(files)
	return pulled, errors.Join(err, removeOthers(dir, version))
}

// activate downloads a version, unless it is there, and swaps the link. It reports whether the link led elsewhere.
func (a *Artifact) activate(ctx context.Context, dir, version string, manifest ocispec.Descriptor) (bool, error) {
	// A folder with this name is complete.
	if _, err := os.Stat(filepath.Join(dir, version)); errors.Is(err, os.ErrNotExist) {
		if err := a.download(ctx, dir, version, manifest); err != nil {
			return false, err
		}
	} else if err != nil {
		return false, err
	}
	if target, err := os.Readlink(filepath.Join(dir, Link)); err == nil && target == version {
		return false, nil
	}
	return true, swapLink(dir, version)
}

// download writes the documents of a manifest to a new folder, which gets its name when it is complete.
func (a *Artifact) download(ctx context.Context, dir, version string, manifest ocispec.Descriptor) (err error) {
	documents, err := a.listDocuments(ctx, manifest)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(dir, tempPattern)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(work))
		}
	}()
	for _, d := range documents {
		text, err := content.FetchAll(ctx, a.repository, d) // checks size and digest
		if err == nil {
			err = os.WriteFile(filepath.Join(work, d.Annotations[ocispec.AnnotationTitle]), text, 0o644)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.Annotations[ocispec.AnnotationTitle], err)
		}
	}
	if err := os.Chmod(work, 0o755); err != nil { // the authorizer may have another user
		return err
	}
	return os.Rename(work, filepath.Join(dir, version))
}

// listDocuments gives the layers of a manifest. Each is one document with its name.
func (a *Artifact) listDocuments(ctx context.Context, manifest ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	if manifest.MediaType != ocispec.MediaTypeImageManifest {
		return nil, fmt.Errorf("%s: want %s: push the documents with oras push", manifest.MediaType, ocispec.MediaTypeImageManifest)
	}
	if manifest.Size > maxManifestBytes {
		return nil, fmt.Errorf("the manifest has %d bytes, at most %d are read", manifest.Size, maxManifestBytes)
	}
	text, err := content.FetchAll(ctx, a.repository, manifest)
	if err != nil {
		return nil, err
	}
	var parsed ocispec.Manifest
	if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, fmt.Errorf("the manifest: %w", err)
	}
	return parsed.Layers, checkDocuments(parsed.Layers)
}

func checkDocuments(layers []ocispec.Descriptor) error {
	if len(layers) == 0 {
		return errors.New("the artifact has no files: without a document every request is denied")
	}
	var names []string
	var total int64
	for i, layer := range layers {
		name := layer.Annotations[ocispec.AnnotationTitle]
		switch {
		case name == "":
			return fmt.Errorf("layer %d is no file: push the documents with oras push REFERENCE *.yaml; an image is for an image volume of Kubernetes", i+1)
		case filepath.Base(name) != name || strings.HasPrefix(name, ".") || !source.IsRead(name):
			return fmt.Errorf("%q: want files *.yaml without a folder: push them from inside their folder", name)
		case slices.Contains(names, name):
			return fmt.Errorf("%q is in the artifact twice", name)
		case layer.Size > source.MaxFileBytes:
			return fmt.Errorf("%q has %d bytes, at most %d are read", name, layer.Size, source.MaxFileBytes)
		}
		names = append(names, name)
		total += layer.Size
	}
	if total > maxTotalBytes {
		return fmt.Errorf("the files have %d bytes together, at most %d are read", total, maxTotalBytes)
	}
	return nil
}

// swapLink makes the link lead to a version.
func swapLink(dir, version string) error {
	work, err := os.MkdirTemp(dir, tempPattern)
	if err != nil {
		return err
	}
	next := filepath.Join(work, Link)
	// The target is relative, so that the folder can be mounted elsewhere.
	err = os.Symlink(version, next)
	if err == nil {
		err = os.Rename(next, filepath.Join(dir, Link))
	}
	return errors.Join(err, os.RemoveAll(work))
}

// removeOthers removes earlier versions, and what an interrupted pull has left.
func removeOthers(dir, version string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		interrupted, _ := filepath.Match(tempPattern, e.Name()) // the pattern is valid
		if e.IsDir() && (interrupted || strings.HasPrefix(e.Name(), versionPrefix) && e.Name() != version) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
