package keyset

import (
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Files is the content of a key directory, or of the Secret it is mounted from, by
// name: keys.yaml, and KID.pem for each key. The values are secrets.
type Files map[string][]byte

// planFile is keys.yaml: the times of each key, by its thumbprint.
type planFile struct {
	Test bool            `yaml:"test,omitempty"` // the keys sign test tokens only
	Keys map[string]Plan `yaml:"keys"`
}

// PlanName is the file with the times. What it does not name is no key.
const PlanFileName = "keys.yaml"

const pemSuffix = ".pem"

// IsKeyFile says whether a file of that name belongs to a key directory, which has no
// folders in it.
func IsKeyFile(name string) bool {
	return name == PlanFileName || strings.HasSuffix(name, pemSuffix) && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/")
}

// SigningKeys reads the keys. All of it is right or none of it is used.
func (f Files) SigningKeys() (*SigningKeys, error) {
	plans, err := f.plans()
	if err != nil {
		return nil, err
	}
	if len(plans.Keys) == 0 {
		return nil, fmt.Errorf("%s: no keys", PlanFileName)
	}
	s := &SigningKeys{test: plans.Test}
	for kid, plan := range plans.Keys {
		key, err := f.key(kid, plan)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, key)
	}
	sort.Slice(s.keys, func(i, j int) bool { return s.keys[i].newerThan(s.keys[j]) })
	return s, nil
}

// StrayFiles lists the key files that keys.yaml does not name: they sign nothing.
// Keys are written before keys.yaml and removed after it, so an interrupted
// command leaves one. That is why it does not refuse the directory: a gateway
// that starts at this moment would be down.
func (f Files) StrayFiles() ([]string, error) {
	plans, err := f.plans()
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

// WithNewKey makes a key and gives the files with it added. The first key of all says
// whether they are for tests: see [SigningKeys.IsTest].
func (f Files) WithNewKey(algorithm string, plan Plan, test bool) (Files, *SigningKey, error) {
	plans, err := f.plans()
	if err != nil {
		return nil, nil, err
	}
	if len(plans.Keys) > 0 && plans.Test != test {
		return nil, nil, ErrMixedKeys
	}
	if err := plan.check(); err != nil {
		return nil, nil, err
	}
	key, data, err := create(algorithm)
	if err != nil {
		return nil, nil, err
	}
	key.plan, plans.Test, plans.Keys[key.kid] = plan, test, plan
	made := f.clone()
	made[key.kid+pemSuffix] = data
	return made, key, made.put(plans)
}

// WithPlans gives the files with other times. A key that they do not name is gone.
func (f Files) WithPlans(times map[string]Plan) (Files, error) {
	plans, err := f.plans()
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
	return made, made.put(plans)
}

func (f Files) clone() Files {
	made := make(Files, len(f)+1)
	for name, data := range f {
		made[name] = data
	}
	return made
}

func (f Files) put(plans planFile) (err error) {
	f[PlanFileName], err = yaml.Marshal(plans)
	return err
}

// plans of no keys.yaml are none: the directory is about to get its first key.
func (f Files) plans() (planFile, error) {
	plans := planFile{Keys: map[string]Plan{}}
	data, there := f[PlanFileName]
	if !there {
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

func (f Files) key(kid string, plan Plan) (*SigningKey, error) {
	if filepath.Base(kid) != kid {
		return nil, fmt.Errorf("%s: kid %.64q is not a thumbprint", PlanFileName, kid)
	}
	if err := plan.check(); err != nil {
		return nil, fmt.Errorf("%s: key %s: %w", PlanFileName, kid, err)
	}
	data, there := f[kid+pemSuffix]
	if !there {
		return nil, fmt.Errorf("%s names %s, and there is no such file as %s.pem: put it there, or take the entry out", PlanFileName, kid, kid)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s.pem: %w", kid, err)
	}
	if key.kid != kid {
		return nil, fmt.Errorf("%s.pem: holds another key, whose thumbprint is %s", kid, key.kid)
	}
	key.plan = plan
	return key, nil
}
