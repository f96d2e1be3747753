package policycli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/policy"
)

// standardInput is how messages name standard input.
const standardInput = "standard input"

// folderOpener makes folders of what a command line names.
type folderOpener struct {
	stdin   io.Reader
	opened  []*openedFolder
	streams int // pipes and standard input, which have no names
}

// openedFolder is a folder, or the files that were named of one.
type openedFolder struct {
	policy.Dir
	parent string // of the files; empty: the whole folder was named
	named  bool   // by NAME=
}

func (o *folderOpener) openSource(text string, guardrail bool) error {
	name, path := splitName(text)
	if path == "-" {
		return o.addStream(name, standardInput, o.stdin, guardrail)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return o.addFolder(path, name, guardrail)
	case info.Mode().IsRegular():
		return o.addFile(path, name, guardrail)
	}
	pipe, err := os.Open(path)
	if err != nil {
		return err
	}
	defer pipe.Close()
	return o.addStream(name, path, pipe, guardrail)
}

// splitName takes NAME=SOURCE apart. A path may hold = too, so a file or folder of
// the whole text is preferred.
func splitName(text string) (name, path string) {
	name, path, found := strings.Cut(text, "=")
	if _, err := os.Stat(text); err == nil || !found || !policy.IsDirName(name) {
		return "", text
	}
	return name, path
}

// WatchedInputs are the files that the documents and cases are read from.
func (s DocumentSource) WatchedInputs() []reload.Input {
	var all []reload.Input
	for _, text := range append(append([]string{}, s.Sources...), s.Guardrails...) {
		_, path := splitName(text)
		input := reload.Input{Path: path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			input.Wanted = policy.IsRead
		}
		all = append(all, input)
	}
	return all
}

func (o *folderOpener) addFolder(path, name string, guardrail bool) error {
	dir := policy.OSDir(filepath.Clean(path))
	dir.Guardrail = guardrail
	if name != "" {
		dir.Name = name
	}
	for _, other := range o.opened {
		if other.parent == "" && policy.Overlap(dir.Path, other.Path) {
			return fmt.Errorf("%s and %s are one folder, or one is inside the other: name folders that have no file in common", other.Path, dir.Path)
		}
	}
	o.opened = append(o.opened, &openedFolder{Dir: dir, named: name != ""})
	return nil
}

func (o *folderOpener) addFile(path, name string, guardrail bool) error {
	base := filepath.Base(path)
	if !policy.IsRead(base) {
		return fmt.Errorf("%s: an authorizer reads *.yaml and *.yml only: rename the file, or give it as standard input", path)
	}
	data, err := readfile.Read(path, policy.MaxFileBytes)
	if err != nil {
		return err
	}
	parent, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	return o.addToFolder(name, policy.DirName(filepath.Dir(path)), parent, base, path, data, guardrail)
}

// addStream reads what is no file: standard input, or a pipe such as a shell makes.
func (o *folderOpener) addStream(name, shown string, from io.Reader, guardrail bool) error {
	if from == nil {
		return errors.New("there is no standard input")
	}
	data, err := io.ReadAll(io.LimitReader(from, policy.MaxFileBytes+1))
	if err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	if len(data) > policy.MaxFileBytes {
		return fmt.Errorf("%s: %w: at most %d bytes are read", shown, readfile.ErrTooLarge, policy.MaxFileBytes)
	}
	o.streams++
	return o.addToFolder(name, "stdin", standardInput, fmt.Sprintf("input-%d.yaml", o.streams), shown, data, guardrail)
}

// addToFolder puts a file into the folder of its parent, which has another name where the
// user gave one.
func (o *folderOpener) addToFolder(name, byDefault, parent, base, shown string, data []byte, guardrail bool) error {
	var dir *openedFolder
	for _, other := range o.opened {
		if other.parent == parent && other.Guardrail == guardrail && (name == "" && !other.named || name != "" && other.Name == name) {
			dir = other
		}
	}
	if dir == nil {
		dir = &openedFolder{parent: parent, named: name != ""}
		dir.Name, dir.Path, dir.Guardrail = byDefault, filepath.Dir(shown), guardrail
		if dir.named {
			dir.Name = name
		}
		dir.Files, dir.Paths = memoryFiles{}, map[string]string{}
		o.opened = append(o.opened, dir)
	}
	if _, again := dir.Paths[base]; again {
		return fmt.Errorf("%s is named twice", shown)
	}
	dir.Files.(memoryFiles)[base], dir.Paths[base] = data, shown
	return nil
}

// checkedFolders checks that the folders have names of their own, and no file in common.
func (o *folderOpener) checkedFolders() ([]policy.Dir, error) {
	var all []policy.Dir
	for i, dir := range o.opened {
		if err := dir.checkOverlap(o.opened); err != nil {
			return nil, err
		}
		for _, other := range o.opened[:i] {
			if dir.Name == other.Name {
				return nil, fmt.Errorf("two folders are named %q, %s and %s: give one of them another name, as in NAME=%s", dir.Name, other.Path, dir.Path, dir.Path)
			}
		}
		all = append(all, dir.Dir)
	}
	if len(FoldersWithDocuments(all)) == 0 {
		return nil, errors.New("only files of cases are named: name the documents too")
	}
	return all, nil
}

// checkOverlap reports a file that a folder has too.
func (d *openedFolder) checkOverlap(all []*openedFolder) error {
	for _, path := range d.Paths {
		for _, other := range all {
			if d.parent != standardInput && other.parent == "" && policy.Overlap(path, other.Path) {
				return fmt.Errorf("%s is in %s, which is named too", path, other.Path)
			}
		}
	}
	return nil
}
