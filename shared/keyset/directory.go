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

// ErrOpen is the error if others than owner and group can read a private key, or can
// replace a file of the directory.
var ErrOpen = secretfile.ErrOpen

// maxFileBytes is far above the size of a key, and of the times of many keys.
const maxFileBytes = 1 << 20

// ReadFiles reads the files of a key directory. A directory where others may replace files,
// and a private key whose permissions are too wide, reject all keys ([ErrOpen]). A file that
// cannot be read, or that another user left in a sticky directory, is skipped if keys.yaml
// does not name it: it signs nothing. Without a keys.yaml the error is [fs.ErrNotExist].
func ReadFiles(dir string) (Files, error) {
	if err := secretfile.CheckFolder(dir); err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	data, err := readKeyFile(filepath.Join(dir, PlanFileName))
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	files := Files{PlanFileName: data}
	plans, planErr := files.readPlans()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == PlanFileName || !IsKeyFile(name) {
			continue
		}
		data, err := readKeyFile(filepath.Join(dir, name))
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

// readKeyFile reads KID.pem as a secret. keys.yaml decides which key signs, but it is no
// secret.
func readKeyFile(path string) ([]byte, error) {
	kind := secretfile.Secret
	if filepath.Base(path) == PlanFileName {
		kind = secretfile.Trusted
	}
	return secretfile.Read(path, kind, maxFileBytes)
}

// CreateKey makes a key with one of [Algorithms], writes KID.pem and adds it to keys.yaml in
// dir, which must exist. keys.yaml is replaced last and atomically, so that a reader sees
// the directory before or after the change.
func CreateKey(dir, algorithm string, plan Plan) (kid string, err error) {
	return addKey(dir, algorithm, plan, false)
}

// CreateTestKey is [CreateKey] for a directory of test keys: see [SigningKeys.IsTest].
func CreateTestKey(dir, algorithm string, plan Plan) (kid string, err error) {
	return addKey(dir, algorithm, plan, true)
}

func addKey(dir, algorithm string, plan Plan, test bool) (kid string, err error) {
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
