// Package logfiles opens the log files of a command line, also compressed ones and folders.
package logfiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
	"github.com/meshpass/meshpass/extauthz/internal/unpack"
)

// Stdin is the name of standard input.
const Stdin = "-"

// Find lists the logs of files, folders and -. Of a folder it takes the files *.log, *.jsonl and *.ndjson, rotated ones such
// as a.log.1 and a.log-20261130, and *.gz, in the folder and below, also by symbolic links.
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
	err = filepath.WalkDir(folder+string(filepath.Separator), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !isLog(entry.Name()) {
			return err
		}
		info, err := os.Stat(name) // of what a link leads to: kubelets link the logs of containers
		switch {
		case errors.Is(err, fs.ErrNotExist): // rotated away
		case err != nil:
			return err
		case info.Mode().IsRegular():
			sources = append(sources, newSource(name, info.Size()))
		}
		return nil
	})
	return sources, err
}

var logName = regexp.MustCompile(`\.(log|jsonl|ndjson)([.-].*)?$|\.gz$`)

func isLog(name string) bool { return logName.MatchString(name) }

func openFile(name string) (io.ReadCloser, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return openReader(file)
}

// openReader reads compressed data too.
func openReader(from io.ReadCloser) (io.ReadCloser, error) {
	text, err := unpack.NewReader(from, 4096)
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	return readCloser{text, from}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}
