package policycli

import (
	"bytes"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/policy/source"
)

// memoryFiles is a flat folder in memory: the content of each file, by its name.
type memoryFiles map[string][]byte

// MemoryFolder is a flat folder with the files.
func MemoryFolder(files map[string][]byte) fs.FS { return memoryFiles(files) }

// holdOnlyCases reports whether all files are files of cases, and no text in them may be
// a document.
func (m memoryFiles) holdOnlyCases() bool {
	for name, data := range m {
		if !source.IsCases(name) || bytes.Contains(data, []byte(source.Kind)) {
			return false
		}
	}
	return true
}

// Open implements [fs.FS].
func (m memoryFiles) Open(name string) (fs.File, error) {
	info, err := m.findFile("open", name)
	if err != nil {
		return nil, err
	}
	return &memoryFile{info, bytes.NewReader(m[name])}, nil
}

// Stat implements [fs.StatFS].
func (m memoryFiles) Stat(name string) (fs.FileInfo, error) { return m.findFile("stat", name) }

// ReadDir implements [fs.ReadDirFS].
func (m memoryFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	if name != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	var all []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fs.FileInfoToDirEntry(memoryInfo{name, int64(len(m[name])), 0}))
	}
	return all, nil
}

func (m memoryFiles) findFile(op, name string) (memoryInfo, error) {
	if name == "." {
		return memoryInfo{name, 0, fs.ModeDir}, nil
	}
	data, ok := m[name]
	if !ok {
		return memoryInfo{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return memoryInfo{name, int64(len(data)), 0}, nil
}

type memoryFile struct {
	info memoryInfo
	*bytes.Reader
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *memoryFile) Close() error               { return nil }

type memoryInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i memoryInfo) Name() string       { return i.name }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) Mode() fs.FileMode  { return i.mode }
func (i memoryInfo) ModTime() time.Time { return time.Time{} }
func (i memoryInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memoryInfo) Sys() any           { return nil }
