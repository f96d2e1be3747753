package keyset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/secretfile"
)

const ownerOnly = 0o600

// ErrOpen says that the directory or a file of it is open to more than its owner and group.
var ErrOpen = secretfile.ErrOpen

// maxFileBytes is far more than a key, or the times of many keys, takes.
const maxFileBytes = 1 << 20

// ReadFiles reads a key directory that has a keys.yaml. A directory in which others may
// replace files, and a private key whose permissions are too wide, are rejected with all
// keys. A file that cannot be read, or that a stranger left in a sticky directory, is passed
// over where keys.yaml does not name it, since then it signs nothing.
func ReadFiles(dir string) (Files, error) {
	if err := secretfile.CheckFolder(dir); err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	data, err := readFile(filepath.Join(dir, PlanFileName))
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	files := Files{PlanFileName: data}
	plans, planErr := files.plans()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == PlanFileName || !IsKeyFile(name) {
			continue
		}
		data, err := readFile(filepath.Join(dir, name))
		_, named := plans.Keys[strings.TrimSuffix(name, pemSuffix)]
		switch {
		case err == nil:
			files[name] = data
		case named || planErr != nil || errors.Is(err, ErrOpen) && !errors.Is(err, secretfile.ErrOwner):
			return nil, fmt.Errorf("signing keys: %w", err)
		}
	}
	return files, nil
}

// readFile: the writer of keys.yaml says which key signs, but it is no secret.
func readFile(path string) ([]byte, error) {
	kind := secretfile.Secret
	if filepath.Base(path) == PlanFileName {
		kind = secretfile.Trusted
	}
	return secretfile.Read(path, kind, maxFileBytes)
}

// CreateKey makes a key, writes KID.pem and adds it to keys.yaml, which appears last
// and at once: a reader sees the directory before or after, never between.
func CreateKey(dir, algorithm string, plan Plan) (kid string, err error) {
	return add(dir, algorithm, plan, false)
}

// CreateTestKey is [CreateKey] for a directory of test keys: see [SigningKeys.IsTest].
func CreateTestKey(dir, algorithm string, plan Plan) (kid string, err error) {
	return add(dir, algorithm, plan, true)
}

func add(dir, algorithm string, plan Plan, test bool) (kid string, err error) {
	files, err := ReadFiles(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	files, key, err := files.WithNewKey(algorithm, plan, test)
	if err != nil {
		return "", err
	}
	for _, name := range []string{key.kid + pemSuffix, PlanFileName} {
		if err := atomicfile.Write(filepath.Join(dir, name), files[name], ownerOnly); err != nil {
			return "", err
		}
	}
	return key.kid, nil
}
