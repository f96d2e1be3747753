package policycli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// standardInput is the name of standard input in messages.
const standardInput = "standard input"

// folderOpener opens the sources of a command line as folders.
type folderOpener struct {
	stdin   io.Reader
	opened  []*openedFolder
	streams int // pipes and standard input, which have no file names
}

// openedFolder is a whole folder, or the files of a folder that the command line names.
type openedFolder struct {
	source.Dir
	parent  string // folder of the files, as an absolute path; empty for a whole folder
	hasName bool   // the user named it: NAME=SOURCE
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

// splitName splits NAME=SOURCE. A path may contain = too, so an existing file or folder
// with the whole text as its path wins.
func splitName(text string) (name, path string) {
	name, path, found := strings.Cut(text, "=")
	if _, err := os.Stat(text); err == nil || !found || !source.IsDirName(name) {
		return "", text
	}
	return name, path
}

func (o *folderOpener) addFolder(path, name string, guardrail bool) error {
	dir := source.OSDir(filepath.Clean(path))
	dir.Guardrail = guardrail
	if name != "" {
		dir.Name = name
	}
	for _, other := range o.opened {
		if other.parent == "" && source.FoldersOverlap(dir.Path, other.Path) {
			return fmt.Errorf("%s and %s are one folder, or one is inside the other: name folders that have no file in common", other.Path, dir.Path)
		}
	}
	o.opened = append(o.opened, &openedFolder{Dir: dir, hasName: name != ""})
	return nil
}

func (o *folderOpener) addFile(path, name string, guardrail bool) error {
	base := filepath.Base(path)
	if !source.IsRead(base) {
		return fmt.Errorf("%s: an authorizer reads *.yaml and *.yml only: rename the file, or give it as standard input", path)
	}
	data, err := readfile.Read(path, source.MaxFileBytes)
	if err != nil {
		return err
	}
	parent, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return err
	}
	return o.addToFolder(namedFile{
		folderName: name, defaultName: source.DirName(filepath.Dir(path)), parent: parent,
		base: base, shown: path, data: data, guardrail: guardrail,
	})
}

// addStream reads standard input, or a pipe such as a shell makes for <(COMMAND).
func (o *folderOpener) addStream(name, shown string, from io.Reader, guardrail bool) error {
	if from == nil {
		return errors.New("there is no standard input")
	}
	data, err := io.ReadAll(io.LimitReader(from, source.MaxFileBytes+1))
	if err != nil {
		return fmt.Errorf("%s: %w", shown, err)
	}
	if len(data) > source.MaxFileBytes {
		return fmt.Errorf("%s: %w: at most %d bytes are read", shown, readfile.ErrTooLarge, source.MaxFileBytes)
	}
	o.streams++
	return o.addToFolder(namedFile{
		folderName: name, defaultName: "stdin", parent: standardInput,
		base: fmt.Sprintf("input-%d.yaml", o.streams), shown: shown, data: data, guardrail: guardrail,
	})
}

// namedFile is a file that the command line names, after it was read.
type namedFile struct {
	folderName  string // as the user wrote it; may be empty
	defaultName string // of the folder, where folderName is empty
	parent      string // folder of the file
	base        string // name of the file in its folder
	shown       string // name of the file in messages
	data        []byte
	guardrail   bool
}

// addToFolder adds a file to the folder of its parent. Files of one parent are in one
// folder unless the user gave them different folder names.
func (o *folderOpener) addToFolder(f namedFile) error {
	var dir *openedFolder
	for _, other := range o.opened {
		sameName := f.folderName == "" && !other.hasName || f.folderName != "" && other.Name == f.folderName
		if other.parent == f.parent && other.Guardrail == f.guardrail && sameName {
			dir = other
		}
	}
	if dir == nil {
		dir = &openedFolder{parent: f.parent, hasName: f.folderName != ""}
		dir.Name, dir.Path, dir.Guardrail = f.defaultName, filepath.Dir(f.shown), f.guardrail
		if dir.hasName {
			dir.Name = f.folderName
		}
		dir.Files, dir.Paths = memoryFiles{}, map[string]string{}
		o.opened = append(o.opened, dir)
	}
	if _, again := dir.Paths[f.base]; again {
		return fmt.Errorf("%s is named twice", f.shown)
	}
	dir.Files.(memoryFiles)[f.base], dir.Paths[f.base] = f.data, f.shown
	return nil
}

// checkedFolders returns the folders. It is an error if two of them have one name or a
// file in common, or if there are no documents at all.
func (o *folderOpener) checkedFolders() ([]source.Dir, error) {
	var all []source.Dir
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

// checkOverlap returns an error for a named file that is in a named folder too.
func (d *openedFolder) checkOverlap(all []*openedFolder) error {
	for _, path := range d.Paths {
		for _, other := range all {
			if d.parent != standardInput && other.parent == "" && source.FoldersOverlap(path, other.Path) {
				return fmt.Errorf("%s is in %s, which is named too", path, other.Path)
			}
		}
	}
	return nil
}

// FoldersWithDocuments leaves out the folders that were made of files of cases alone. A
// folder without documents is an error for the loader, and such a folder has no
// documents by intent.
func FoldersWithDocuments(dirs []source.Dir) []source.Dir {
	var chosen []source.Dir
	for _, dir := range dirs {
		if files, ok := dir.Files.(memoryFiles); !ok || !files.holdOnlyCases() {
			chosen = append(chosen, dir)
		}
	}
	return chosen
}
