package readfile

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrLinkedFolder says that a symbolic link leads to a folder. Such links are not
// followed: they could lead in a circle.
var ErrLinkedFolder = errors.New("a symbolic link to a folder, which is not followed")

// Entry is a file that a reader wants, or the reason why it cannot have it.
type Entry struct {
	Name string // below the folder, with slashes
	Err  error  // nil: a regular file. Else [ErrNotRegular], [ErrLinkedFolder], or an error of the file system

	// Folder says that Err keeps a whole folder from being read.
	Folder bool
}

// lostAndFound is made by file systems, for root alone, at the root of a volume.
const lostAndFound = "lost+found"

// Walk visits the files that a reader wants, in the order of their names, without
// opening any. Hidden names are passed over, because a mounted ConfigMap or Secret
// keeps its versions in them, and so is lost+found. What is not wanted is not even
// asked for its kind, unless it is a link, which may lead to a folder. A folder whose
// name is wanted is no file, such as one that took the place of a file; what is in it is
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
