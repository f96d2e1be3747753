package keyset

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/atomicfile"
)

const ownerOnly = 0o600

// ErrMarker says that a directory holds keys of the other kind: those of tests
// and those of production are never in one.
var ErrMarker = errors.New("test keys and production keys need a directory each")

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
	if err := plan.check(); err != nil {
		return "", err
	}
	plans := planFile{Test: test, Keys: map[string]Plan{}}
	if _, err := os.Stat(filepath.Join(dir, planName)); err == nil {
		if plans, err = readPlans(dir); err != nil {
			return "", err
		}
	}
	if plans.Test != test {
		return "", fmt.Errorf("%s: %w", dir, ErrMarker)
	}
	key, data, err := create(algorithm)
	if err != nil {
		return "", err
	}
	if err := atomicfile.Write(filepath.Join(dir, key.kid+".pem"), data, ownerOnly); err != nil {
		return "", err
	}
	plans.Keys[key.kid] = plan
	text, err := yaml.Marshal(plans)
	if err != nil {
		return "", err
	}
	return key.kid, atomicfile.Write(filepath.Join(dir, planName), text, ownerOnly)
}

func create(algorithm string) (*Key, []byte, error) {
	private, err := generate(algorithm)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("new key: %w", err)
	}
	key, err := newKey(private)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}
