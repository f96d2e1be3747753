package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// entry is a file of an archive or an image.
type entry struct {
	name string // such as usr/local/bin/meshpass
	mode fs.FileMode
	text []byte
}

// readEntry reads a file of the disk.
func readEntry(file, name string, mode fs.FileMode) (entry, error) {
	text, err := os.ReadFile(file)
	return entry{name, mode, text}, err
}

// writeTar packs entries and their folders: sorted, with one date, and owned by root.
func writeTar(date time.Time, entries ...entry) ([]byte, error) {
	headers := map[string]*tar.Header{}
	texts := map[string][]byte{}
	for _, e := range entries {
		headers[e.name] = &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.text)), Mode: int64(e.mode)}
		texts[e.name] = e.text
		for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
			headers[dir+"/"] = &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}
		}
	}
	names := make([]string, 0, len(headers))
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, name := range names {
		header := headers[name]
		header.ModTime, header.Format = date, tar.FormatPAX
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(texts[name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// compress is gzip without a name and a date.
func compress(data []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// writeArchive writes a .tar.gz.
func writeArchive(file string, date time.Time, entries ...entry) error {
	packed, err := writeTar(date, entries...)
	if err != nil {
		return err
	}
	if packed, err = compress(packed); err != nil {
		return err
	}
	return os.WriteFile(file, packed, 0o644)
}

// readFolder reads all files below a folder.
func readFolder(dir string) (entries []entry, err error) {
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		e, err := readEntry(file, filepath.ToSlash(name), 0o644)
		entries = append(entries, e)
		return err
	})
	return entries, err
}
