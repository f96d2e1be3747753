// Package logfiles opens the log files of a command line, also compressed ones and folders.
package logfiles

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
)

// Stdin is the name of standard input.
const Stdin = "-"

// Find lists the logs of files, folders and -. Of a folder it takes the files *.log, *.jsonl and *.ndjson, rotated ones such
// as a.log.1, and *.gz, in the folder and below.
func Find(names []string, stdin io.Reader) ([]search.Source, error) {
	var sources []search.Source
	for _, name := range names {
		if name == Stdin {
			sources = append(sources, search.Source{Name: "standard input", Once: true, Open: func() (io.ReadCloser, error) { return openReader(io.NopCloser(stdin)) }})
			continue
		}
		info, err := os.Stat(name)
		switch {
		case err != nil:
			return nil, err
		case info.IsDir():
			found, err := findInFolder(name)
			if err != nil {
				return nil, err
			}
			if len(found) == 0 {
				return nil, fmt.Errorf("%s has no file *.log, *.jsonl, *.ndjson or *.gz", name)
			}
			sources = append(sources, found...)
		case !info.Mode().IsRegular(): // a named pipe
			sources = append(sources, search.Source{Name: name, Once: true, Open: func() (io.ReadCloser, error) { return openFile(name) }})
		default:
			sources = append(sources, newSource(name, info.Size()))
		}
	}
	return sources, nil
}

func newSource(name string, size int64) search.Source {
	return search.Source{Name: name, Size: size, Open: func() (io.ReadCloser, error) { return openFile(name) }}
}

func findInFolder(folder string) (sources []search.Source, err error) {
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !isLog(entry.Name()) {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) { // rotated away
				return nil
			}
			return err
		}
		sources = append(sources, newSource(name, info.Size()))
		return nil
	})
	return sources, err
}

func isLog(name string) bool {
	return slices.Contains([]string{".log", ".jsonl", ".ndjson", ".gz"}, filepath.Ext(name)) || strings.Contains(name, ".log.")
}

func openFile(name string) (io.ReadCloser, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return openReader(file)
}

// openReader reads compressed data too.
func openReader(from io.ReadCloser) (io.ReadCloser, error) {
	buffered := bufio.NewReader(from)
	if begin, _ := buffered.Peek(2); string(begin) != "\x1f\x8b" {
		return readCloser{buffered, from}, nil
	}
	unpacked, err := gzip.NewReader(buffered)
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	return readCloser{compressed{unpacked}, from}, nil
}

// compressed is the content of compressed data.
type compressed struct{ *gzip.Reader }

func (c compressed) Read(into []byte) (int, error) {
	n, err := c.Reader.Read(into)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends in the middle of compressed data")
	}
	return n, err
}

type readCloser struct {
	io.Reader
	io.Closer
}
