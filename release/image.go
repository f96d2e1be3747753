package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user runs the programs of our images.
const user = "65532:65532"

// image is a container image before it is written.
type image struct {
	name       string // such as meshpass/authz
	title      string
	entrypoint []string
	command    []string
	ports      []string
	labels     map[string]string
	files      map[string][]entry // by architecture
}

// baseFiles are what programs without C find in an image: roots for TLS, and the name of their user. There is no shell.
func baseFiles() []entry {
	var roots bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil { // a constraint cannot be written in PEM
			_ = pem.Encode(&roots, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes all
		}
	}
	return []entry{
		{"etc/ssl/certs/ca-certificates.crt", 0o644, roots.Bytes()},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n")},
	}
}

// writeImage writes an image for each architecture as one archive with an OCI layout.
func (o options) writeImage(i image, out string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		if i.files[arch] == nil {
			continue
		}
		built, err := o.buildImage(i, arch)
		if err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: built, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	index = mutate.Annotations(index, o.imageLabels(i)).(v1.ImageIndex)
	dir, err := os.MkdirTemp(filepath.Dir(out), ".layout-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a copy that nothing reads
	path, err := layout.Write(dir, mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	if err != nil {
		return err
	}
	// containerd takes the first name, other tools the second one.
	names := map[string]string{"io.containerd.image.name": i.name + ":" + o.name(), "org.opencontainers.image.ref.name": o.name()}
	if err := path.AppendIndex(index, layout.WithAnnotations(names)); err != nil {
		return err
	}
	files, err := readFolder(dir)
	if err != nil {
		return err
	}
	packed, err := writeTar(o.date, files...)
	if err != nil {
		return err
	}
	return os.WriteFile(out, packed, 0o644)
}

func (o options) buildImage(i image, arch string) (v1.Image, error) {
	built := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, entries := range [][]entry{baseFiles(), i.files[arch]} {
		layer, err := o.newLayer(entries)
		if err != nil {
			return nil, err
		}
		if built, err = mutate.Append(built, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: o.date}, CreatedBy: "make release"}}); err != nil {
			return nil, err
		}
	}
	config, err := built.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: o.date}
	config.Config = v1.Config{
		User: user, Entrypoint: i.entrypoint, Cmd: i.command, Labels: o.imageLabels(i),
		Env: []string{"PATH=/usr/local/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
	}
	for _, port := range i.ports {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[port] = struct{}{}
	}
	return mutate.ConfigFile(built, config)
}

func (o options) newLayer(entries []entry) (v1.Layer, error) {
	packed, err := writeTar(o.date, entries...)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed)), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

// imageLabels are the labels of the image and of its index.
func (o options) imageLabels(i image) map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":    i.title,
		"org.opencontainers.image.source":   "https://github.com/meshpass/meshpass",
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.version":  o.name(),
		"org.opencontainers.image.revision": o.revision,
		"org.opencontainers.image.created":  o.date.Format(time.RFC3339),
	}
	for name, value := range i.labels {
		labels[name] = value
	}
	return labels
}
