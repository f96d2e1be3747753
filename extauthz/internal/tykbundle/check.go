package tykbundle

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
)

// Expectation is what a bundle must be.
type Expectation struct {
	PublicKey *rsa.PublicKey // of the gateway's public_key_path; nil: no signature is wanted
	Releases  []string       // of the gateways that load it, such as v5.8.1
	Arch      string         // of these gateways
}

// Report is the result of a check.
type Report struct {
	File     string   `json:"file"`
	SHA256   string   `json:"sha256"`
	Signed   bool     `json:"signed"`
	Verified bool     `json:"verified"` // by the public key
	Plugins  []Plugin `json:"plugins"`
	Problems []string `json:"problems"`
}

// Check reads a bundle and compares it with an expectation. Errors: a file that cannot be read. A bundle that must not be
// used has problems in its report.
func Check(file string, want Expectation) (Report, error) {
	content, err := readfile.Read(file, maxPluginBytes)
	if err != nil {
		return Report{}, err
	}
	sum := sha256.Sum256(content)
	report := Report{File: file, SHA256: hex.EncodeToString(sum[:]), Plugins: []Plugin{}, Problems: []string{}}
	files, err := readZip(content, &report)
	if err != nil {
		report.add("%s", err)
		return report, nil
	}
	m, err := parseManifest(files[manifestName])
	if err != nil {
		report.add("%s", err)
		return report, nil
	}
	report.Problems = append(report.Problems, m.findHookProblems()...)
	report.checkFiles(m, files, want)
	return report, nil
}

func (r *Report) add(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// readZip reads the entries. An entry that a gateway would write outside of its folder, or twice, is a problem.
func readZip(content []byte, report *Report) (map[string][]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, fmt.Errorf("no zip file: %w", err)
	}
	files := map[string][]byte{}
	for _, entry := range archive.File {
		_, twice := files[entry.Name]
		switch {
		case entry.Name != path.Base(entry.Name) || strings.ContainsAny(entry.Name, `\:`) || entry.Name == "..":
			report.add("entry %q: want a plain file name: releases before 5.8.7 would write it outside of the bundle's folder", entry.Name)
			continue
		case twice:
			report.add("entry %q is there twice", entry.Name)
			continue
		case entry.UncompressedSize64 > maxPluginBytes:
			return nil, fmt.Errorf("entry %q has more than %d MiB", entry.Name, maxPluginBytes>>20)
		}
		reader, err := entry.Open()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(io.LimitReader(reader, maxPluginBytes))
		if err = cmp.Or(err, reader.Close()); err != nil {
			return nil, fmt.Errorf("entry %q: %w", entry.Name, err)
		}
		files[entry.Name] = text
	}
	if files[manifestName] == nil {
		return nil, errNoManifest
	}
	return files, nil
}

// checkFiles checks the list of files, their signature, and the plugin of each release.
func (r *Report) checkFiles(m manifest, files map[string][]byte, want Expectation) {
	var all bytes.Buffer
	for _, name := range m.FileList {
		content, ok := files[name]
		if !ok || name == manifestName {
			r.add("file_list names %q, which is not in the bundle: build the bundle again", name)
			continue
		}
		all.Write(content)
		if !strings.HasSuffix(name, ".so") {
			continue
		}
		plugin, err := inspectPlugin(name, content)
		if err != nil {
			r.add("%s", err)
			continue
		}
		r.Plugins = append(r.Plugins, plugin)
	}
	for name := range files {
		if name != manifestName && !slices.Contains(m.FileList, name) {
			r.add("%q is not in file_list, so that no signature covers it: build the bundle again", name)
		}
	}
	slices.Sort(r.Problems)
	if sum := checksumOf(all.Bytes()); sum != m.Checksum {
		r.add("checksum is %q, and the files have %s: a file was changed after the bundle was built; use the original", m.Checksum, sum)
	}
	r.checkSignature(m, all.Bytes(), want.PublicKey)
	for _, release := range want.Releases {
		if !slices.ContainsFunc(r.Plugins, func(p Plugin) bool { return p.Release == release && p.Arch == want.Arch }) {
			r.add("no plugin for Tyk %s on linux/%s, so that its gateway answers 500: it has %s; build it with `make plugin TYK_SRC=DIR TYK_VERSION=%s` and add it",
				release, want.Arch, cmp.Or(joinFiles(r.Plugins), "none"), release)
		}
	}
}

func (r *Report) checkSignature(m manifest, content []byte, key *rsa.PublicKey) {
	r.Signed = m.Signature != ""
	if key == nil {
		return
	}
	if !r.Signed {
		r.add("it is not signed, and a gateway with public_key_path does not load its APIs: build it with --key")
		return
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	hash := sha256.Sum256(content)
	if err != nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) != nil {
		r.add("the signature is not of this key: a file was changed, or another key has signed it")
		return
	}
	r.Verified = true
}

func joinFiles(plugins []Plugin) string {
	var names []string
	for _, p := range plugins {
		names = append(names, p.File)
	}
	return strings.Join(names, ", ")
}

// IsFine reports whether nothing is wrong.
func (r Report) IsFine() bool { return len(r.Problems) == 0 }

// Print writes the report as text.
func (r Report) Print(to io.Writer) error {
	state := map[bool]string{true: "signed", false: "not signed"}[r.Signed]
	if r.Verified {
		state = "signed by this key"
	}
	if _, err := fmt.Fprintf(to, "%s: sha256:%s, %s\n", r.File, r.SHA256, state); err != nil {
		return err
	}
	for _, p := range r.Plugins {
		fmt.Fprintf(to, "  Tyk %s, linux/%s, %s\n", p.Release, p.Arch, p.Go)
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(to, "  problem: %s\n", problem)
	}
	return nil
}
