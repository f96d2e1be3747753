package readfile

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrLinkedFolder is the error of a symbolic link to a folder. Such links are not
// followed: they could lead in a circle.
var ErrLinkedFolder = errors.New("a symbolic link to a folder, which is not followed")

// Entry is a file that a reader wants, or the reason why it cannot be read.
type Entry struct {
	Name string // below the folder, with slashes
	Err  error  // nil: a regular file. Else [ErrNotRegular], [ErrLinkedFolder], or an error of the file system

	// Folder is true if Err keeps a whole folder from being read.
	Folder bool
}

// lostAndFound is made by file systems, for root alone, at the root of a volume.
const lostAndFound = "lost+found"

// Walk visits the files that a reader wants, in the order of their names, without
// opening any. Hidden names are skipped, because a mounted ConfigMap or Secret
// keeps its versions in them, and so is lost+found. Of other names not even the kind is read,
// except of links, which may lead to a folder. A folder whose
// name is wanted, such as one that replaced a file, is visited with an error; the files in it are
// visited too. The error is that of the folder itself.
func Walk(files fs.FS, wanted func(name string) bool, visit func(Entry)) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case name == ".":
			return err
		case strings.HasPrefix(entry.Name(), "."), entry.IsDir() && entry.Name() == lostAndFound:
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.IsDir():
			if err != nil {
				visit(Entry{Name: name, Err: err, Folder: true})
				return fs.SkipDir
			}
			if wanted(name) {
				visit(Entry{Name: name, Err: newNotRegular(name, fs.ModeDir)})
			}
		default:
			visitFile(files, name, entry.Type(), wanted(name), visit)
		}
		return nil
	})
}

func visitFile(files fs.FS, name string, mode fs.FileMode, wanted bool, visit func(Entry)) {
	e := Entry{Name: name}
	if mode&fs.ModeSymlink != 0 {
		info, err := fs.Stat(files, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			e.Err = fmt.Errorf("%s is a symbolic link that leads nowhere: %w", name, fs.ErrNotExist)
		case err != nil:
			e.Err = err
		case info.IsDir():
			wanted, e.Folder = true, true
			e.Err = fmt.Errorf("%s is %w: list that folder itself", name, ErrLinkedFolder)
		default:
			mode = info.Mode()
		}
	}
	if e.Err == nil && !mode.IsRegular() {
		e.Err = newNotRegular(name, mode)
	}
	if wanted {
		visit(e)
	}
}
