package keyset

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Files are the files of a key directory, or of the Kubernetes Secret that it is mounted
// from, by name: keys.yaml, and KID.pem for each key. The values are secrets.
type Files map[string][]byte

// planFile is keys.yaml.
type planFile struct {
	Test bool            `yaml:"test,omitempty"` // the keys sign test tokens only
	Keys map[string]Plan `yaml:"keys"`           // by kid
}

// PlanFileName is the name of the file with the times. A key that it does not name is not
// used.
const PlanFileName = "keys.yaml"

// ErrMixedKeys is the error for a test key in a directory of production keys, and for the
// opposite.
var ErrMixedKeys = errors.New("test keys and production keys need a directory each")

const pemSuffix = ".pem"

// IsKeyFile reports whether a file with that name is a file of a key directory. The
// directory has no folders.
func IsKeyFile(name string) bool {
	return name == PlanFileName || strings.HasSuffix(name, pemSuffix) && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/")
}

// SigningKeys returns the keys that keys.yaml names. One invalid key rejects all.
func (f Files) SigningKeys() (*SigningKeys, error) {
	plans, err := f.readPlans()
	if err != nil {
		return nil, err
	}
	if len(plans.Keys) == 0 {
		return nil, fmt.Errorf("%s: no keys", PlanFileName)
	}
	s := &SigningKeys{test: plans.Test}
	for kid, plan := range plans.Keys {
		key, err := f.readKey(kid, plan)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, key)
	}
	sort.Slice(s.keys, func(i, j int) bool { return s.keys[i].isNewerThan(s.keys[j]) })
	return s, nil
}

// StrayFiles returns the names of key files that keys.yaml does not name, sorted. They sign
// nothing. Keys are written before keys.yaml and removed after it, so an interrupted command
// leaves one. It does not reject the directory, because a gateway that starts at this moment
// would then be down.
func (f Files) StrayFiles() ([]string, error) {
	plans, err := f.readPlans()
	if err != nil {
		return nil, err
	}
	var stray []string
	for name := range f {
		if _, named := plans.Keys[strings.TrimSuffix(name, pemSuffix)]; !named && name != PlanFileName {
			stray = append(stray, name)
		}
	}
	sort.Strings(stray)
	return stray, nil
}

// WithNewKey makes a key, and returns the files with the key added. test must be the same
// for all keys: see [SigningKeys.IsTest]. The receiver is not changed. The error is
// [ErrMixedKeys], [ErrInvalidPlan], or one for an unknown algorithm.
func (f Files) WithNewKey(algorithm string, plan Plan, test bool) (Files, *SigningKey, error) {
	plans, err := f.readPlans()
	if err != nil {
		return nil, nil, err
	}
	if len(plans.Keys) > 0 && plans.Test != test {
		return nil, nil, ErrMixedKeys
	}
	if err := plan.check(); err != nil {
		return nil, nil, err
	}
	key, data, err := generatePEM(algorithm)
	if err != nil {
		return nil, nil, err
	}
	key.plan, plans.Test, plans.Keys[key.kid] = plan, test, plan
	made := f.clone()
	made[key.kid+pemSuffix] = data
	return made, key, made.writePlans(plans)
}

// WithPlans returns the files with other times, by kid. A key that they do not name is
// removed. The receiver is not changed.
func (f Files) WithPlans(times map[string]Plan) (Files, error) {
	plans, err := f.readPlans()
	if err != nil {
		return nil, err
	}
	made := f.clone()
	for kid := range plans.Keys {
		if _, stays := times[kid]; !stays {
			delete(made, kid+pemSuffix)
		}
	}
	plans.Keys = times
	return made, made.writePlans(plans)
}

func (f Files) clone() Files {
	made := make(Files, len(f)+1)
	for name, data := range f {
		made[name] = data
	}
	return made
}

func (f Files) writePlans(plans planFile) (err error) {
	f[PlanFileName], err = yaml.Marshal(plans)
	return err
}

// readPlans returns the content of keys.yaml. It is empty if there is no such file: the
// directory is about to get its first key.
func (f Files) readPlans() (planFile, error) {
	plans := planFile{Keys: map[string]Plan{}}
	data, present := f[PlanFileName]
	if !present {
		return plans, nil
	}
	doc, err := strictyaml.Parse(data)
	if err == nil {
		err = doc.Decode(&plans).Err()
	}
	if err != nil {
		return plans, fmt.Errorf("%s: %w", PlanFileName, err)
	}
	if plans.Keys == nil {
		plans.Keys = map[string]Plan{}
	}
	return plans, nil
}

func (f Files) readKey(kid string, plan Plan) (*SigningKey, error) {
	if filepath.Base(kid) != kid {
		return nil, fmt.Errorf("%s: kid %.64q is not a thumbprint", PlanFileName, kid)
	}
	if err := plan.check(); err != nil {
		return nil, fmt.Errorf("%s: key %s: %w", PlanFileName, kid, err)
	}
	data, present := f[kid+pemSuffix]
	if !present {
		return nil, fmt.Errorf("%s names %s, and there is no file %s.pem: add the file, or remove the entry", PlanFileName, kid, kid)
	}
	key, err := parsePEM(data)
	if err != nil {
		return nil, fmt.Errorf("%s.pem: %w", kid, err)
	}
	if key.kid != kid {
		return nil, fmt.Errorf("%s.pem: holds another key, whose thumbprint is %s", kid, key.kid)
	}
	key.plan = plan
	return key, nil
}
