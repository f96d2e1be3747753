package main

import (
	"crypto/ecdsa"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// architectures are those of the authorizer and the command line. The plugin has the first one only.
var architectures = []string{"amd64", "arm64"}

// writeRelease writes the files of a release to work/dist.
func writeRelease(o options, work string, key *ecdsa.PrivateKey) error {
	r := writer{options: o, work: work, dist: filepath.Join(work, "dist")}
	if err := os.MkdirAll(r.dist, 0o755); err != nil {
		return err
	}
	var err error
	if r.license, err = readEntry(filepath.Join(o.root, "LICENSE"), "LICENSE", 0o644); err != nil {
		return err
	}
	for _, write := range []func() error{r.writeAuthorizer, r.writePlugins, r.writeBundle} {
		if err := write(); err != nil {
			return err
		}
	}
	step("checksums")
	return writeSums(r.dist, key)
}

// writer writes one release.
type writer struct {
	options
	work, dist string
	license    entry
	plugins    []string // files
}

func (r *writer) path(format string, args ...any) string {
	return filepath.Join(r.dist, fmt.Sprintf(format, args...))
}

func (r *writer) writeAuthorizer() error {
	files := map[string][]entry{}
	for _, arch := range architectures {
		program := filepath.Join(r.work, arch, "meshpass")
		if err := r.buildProgram("extauthz", "./cmd/meshpass", arch, program); err != nil {
			return err
		}
		inArchive, err := readEntry(program, "meshpass", 0o755)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("meshpass_%s_linux_%s", r.name(), arch)
		if err := writeArchive(r.path("%s.tar.gz", name), r.date, inArchive, r.license); err != nil {
			return err
		}
		if err := r.writeBill(program, r.path("%s.cdx.json", name)); err != nil {
			return err
		}
		files[arch] = []entry{{"usr/local/bin/meshpass", 0o755, inArchive.text}}
	}
	step("image meshpass/authz")
	return r.writeImage(image{
		name: "meshpass/authz", title: "meshpass authorizer", files: files, ports: []string{"9000/tcp", "9090/tcp"},
		entrypoint: []string{"/usr/local/bin/meshpass"}, command: []string{"serve", "--config", "/etc/meshpass/meshpass.yaml"},
	}, r.path("meshpass-authz_%s.oci.tar", r.name()))
}

func (r *writer) writePlugins() error {
	install := filepath.Join(r.work, "install")
	if err := r.buildProgram("plugins", "./install", "amd64", install); err != nil {
		return err
	}
	installer, err := readEntry(install, "install", 0o755)
	if err != nil {
		return err
	}
	inImage := []entry{{"usr/local/bin/install", 0o755, installer.text}}
	var releases []string
	for _, gateway := range r.tyk {
		plugin, err := r.buildPlugin(gateway, filepath.Join(r.work, "plugins"))
		if err != nil {
			return err
		}
		r.plugins = append(r.plugins, plugin)
		file, err := readEntry(plugin, filepath.Base(plugin), 0o644)
		if err != nil {
			return err
		}
		modules, err := r.listModules(plugin, gateway.release)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("meshpass-tyk-plugin_%s_tyk-%s_linux_amd64", r.name(), gateway.release)
		if err := writeArchive(r.path("%s.tar.gz", name), r.date, file, installer, entry{"modules.json", 0o644, modules}, r.license); err != nil {
			return err
		}
		if err := os.WriteFile(r.path("%s.modules.json", name), modules, 0o644); err != nil {
			return err
		}
		if err := r.writeBill(plugin, r.path("%s.cdx.json", name)); err != nil {
			return err
		}
		inImage = append(inImage, entry{"plugins/" + file.name, 0o644, file.text})
		releases = append(releases, gateway.release)
	}
	step("image meshpass/tyk-plugin")
	return r.writeImage(image{
		name: "meshpass/tyk-plugin", title: "meshpass Tyk plugin", files: map[string][]entry{"amd64": inImage},
		entrypoint: []string{"/usr/local/bin/install"}, labels: map[string]string{"dev.meshpass.tyk.version": strings.Join(releases, ",")},
	}, r.path("meshpass-tyk-plugin_%s.oci.tar", r.name()))
}

func (r *writer) writeBundle() error {
	if r.bundleKey == "" {
		return nil
	}
	step("bundle")
	args := append([]string{"run", "./cmd/meshpass", "tyk", "bundle", "build", "--key", r.bundleKey, "--out", r.path("meshpass-tyk-bundle_%s.zip", r.name())}, r.plugins...)
	return runCommand(filepath.Join(r.root, "extauthz"), []string{"GOFLAGS=-trimpath", "GOWORK=off"}, "go", args...)
}
