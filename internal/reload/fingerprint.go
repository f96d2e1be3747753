package reload

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/meshpass/meshpass/internal/readfile"
)

// Input is a file that a value is made of, or a folder of such files.
type Input struct {
	Path string

	// Wanted selects the names below a folder that are read; see [readfile.Walk]. Nil: Path
	// is a file. The load must select the same names: a file that only one of the two reads
	// would hide a change or cause one.
	Wanted func(name string) bool
}

// Files are inputs without folders.
func Files(paths ...string) []Input {
	inputs := make([]Input, len(paths))
	for i, path := range paths {
		inputs[i] = Input{Path: path}
	}
	return inputs
}

// maxFileBytes is far more than any reader accepts. The fingerprint of a larger file has its size
// and time in place of its content.
const maxFileBytes = 16 << 20

// fingerprint is a hash of all files of a value. A file that cannot be read is part
// of it, so that it is a change when the file can be read again.
type fingerprint struct {
	sum    [sha256.Size]byte
	unread int // files and folders that cannot be read
}

// takeFingerprint hashes names, permissions and content.
func takeFingerprint(inputs []Input) fingerprint {
	f := hasher{Hash: sha256.New(), buffer: make([]byte, 64<<10)}
	for i, input := range inputs {
		fmt.Fprintf(f, "%d\x00", i)
		f.hashInput(input)
	}
	return fingerprint{[sha256.Size]byte(f.Sum(nil)), f.unread}
}

type hasher struct {
	hash.Hash
	unread int
	buffer []byte // one for all files: a buffer for each would be most of the memory that a look allocates
}

// hashInput names files relative to the root, so that the same content in another
// folder, to which a link leads now, is no change.
func (h *hasher) hashInput(input Input) {
	if input.Wanted == nil {
		h.hashFile("", input.Path)
		return
	}
	root := readfile.ResolveVersion(input.Path)
	err := readfile.Walk(readfile.FolderFS(root), input.Wanted, func(e readfile.Entry) {
		if e.Err != nil {
			h.hashFailure(e.Name, e.Err)
			return
		}
		h.hashFile(e.Name, filepath.Join(root, filepath.FromSlash(e.Name)))
	})
	if err != nil {
		h.hashFailure("", err)
	}
}

func (h *hasher) hashFile(name, path string) {
	file, info, err := readfile.Open(path)
	if err != nil {
		h.hashFailure(name, err)
		return
	}
	defer file.Close()
	// A private key that everyone may read is rejected: chmod fixes that, and content stays.
	fmt.Fprintf(h, "%s\x00%o\x00%d\x00", name, info.Mode().Perm(), info.Size())
	if info.Size() > maxFileBytes {
		fmt.Fprintf(h, "%d\x00", info.ModTime().UnixNano())
		return
	}
	for rest := int64(maxFileBytes); rest > 0; { // a bound, however fast the file grows
		n, err := file.Read(h.buffer)
		h.Write(h.buffer[:n])
		rest -= int64(n)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			h.hashFailure(name, err)
			return
		}
	}
}

// hashFailure hashes the kind of an error, without the path: it may be another one
// after each swap of links.
func (h *hasher) hashFailure(name string, err error) {
	h.unread++
	kind := "other"
	var number syscall.Errno
	switch {
	case errors.As(err, &number):
		kind = number.Error()
	case errors.Is(err, readfile.ErrNotRegular), errors.Is(err, readfile.ErrLinkedFolder):
		kind = "not regular"
	case errors.Is(err, fs.ErrNotExist):
		kind = "absent"
	}
	fmt.Fprintf(h, "%s\x00unread\x00%s\x00", name, kind)
}
