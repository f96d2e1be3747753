package keyset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/shared/atomicfile"
	"github.com/meshpass/meshpass/shared/readfile"
)

const ownerOnly = 0o600

// tooOpen are the permissions that a private key must not have. A group may read
// it: that is how a gateway that is not root reads a mounted Secret (kubelet gives
// its files to fsGroup, with mode 0440).
const tooOpen fs.FileMode = 0o027

// anyoneWrites: whoever writes keys.yaml says which key signs.
const anyoneWrites fs.FileMode = 0o002

// ErrOpen says that a file of the directory is open to more than its owner and group.
var ErrOpen = errors.New("too many may read or write it")

// maxFileBytes is far more than a key, or the times of many keys, takes.
const maxFileBytes = 1 << 20

// ReadFiles reads a key directory that has a keys.yaml. A private key whose
// permissions are too wide is rejected with all others. A file that cannot be read is
// passed over where keys.yaml does not name it, since then it signs nothing.
func ReadFiles(dir string) (Files, error) {
	data, err := readFile(filepath.Join(dir, PlanName))
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	files := Files{PlanName: data}
	plans, planErr := files.plans()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == PlanName || !IsKeyFile(name) {
			continue
		}
		data, err := readFile(filepath.Join(dir, name))
		_, named := plans.Keys[strings.TrimSuffix(name, pemSuffix)]
		switch {
		case err == nil:
			files[name] = data
		case named || planErr != nil || errors.Is(err, ErrOpen):
			return nil, fmt.Errorf("signing keys: %w", err)
		}
	}
	return files, nil
}

// readFile looks at the opened file, which no swap of links can exchange.
func readFile(path string) ([]byte, error) {
	file, err := readfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	mask, mend := tooOpen, "chmod g-w,o= it"
	if filepath.Base(path) == PlanName {
		mask, mend = anyoneWrites, "chmod o-w it"
	}
	if mode := info.Mode().Perm(); mode&mask != 0 {
		return nil, fmt.Errorf("%s has mode %04o: %w: %s, or mount its Secret with defaultMode 0440 and an fsGroup", path, mode, ErrOpen, mend)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("%s: %w", path, readfile.ErrTooLarge)
	}
	return data, err
}

// New makes a key, writes KID.pem and adds it to keys.yaml, which appears last
// and at once: a reader sees the directory before or after, never between.
func New(dir, algorithm string, plan Plan) (kid string, err error) {
	return add(dir, algorithm, plan, false)
}

// NewTest is [New] for a directory of test keys: see [Signing.Test].
func NewTest(dir, algorithm string, plan Plan) (kid string, err error) {
	return add(dir, algorithm, plan, true)
}

func add(dir, algorithm string, plan Plan, test bool) (kid string, err error) {
	files, err := ReadFiles(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	files, key, err := files.With(algorithm, plan, test)
	if err != nil {
		return "", err
	}
	for _, name := range []string{key.kid + pemSuffix, PlanName} {
		if err := atomicfile.Write(filepath.Join(dir, name), files[name], ownerOnly); err != nil {
			return "", err
		}
	}
	return key.kid, nil
}
