package keys

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// step is one write. A command that ends between two of them leaves a directory
// that gateways read, and that the next run brings to its end.
type step struct {
	name string
	run  func() error
}

// Rotate brings a key directory up to date, and the published set too if out
// names its file.
func Rotate(r Rotation, out string) (Report, error) {
	if err := r.checkTimes(); err != nil {
		return Report{}, err
	}
	unlock, err := lockDir(r.Dir)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	steps, report, err := r.planSteps(out)
	if err != nil {
		return report, err
	}
	for _, s := range steps {
		if err := s.run(); err != nil {
			return report, err
		}
	}
	return report, nil
}

// planSteps are in an order that is safe at every point: a key's file is there before
// keys.yaml names it, verifiers get the set before a gateway can sign by it, and
// files go once nothing names them.
func (r Rotation) planSteps(out string) ([]step, Report, error) {
	before, err := readFiles(r.Dir)
	if err != nil {
		return nil, Report{}, err
	}
	var published []byte
	if out != "" {
		if published, err = readSet(out); err != nil {
			return nil, Report{}, err
		}
	}
	after, report, err := r.Apply(before, published)
	if err != nil {
		return nil, Report{}, err
	}
	var steps []step
	for name, data := range after {
		if _, there := before[name]; !there && name != keyset.PlanFileName {
			steps = append(steps, r.writeStep(name, data))
		}
	}
	if out != "" {
		s, err := r.publishSteps(after, out, published, &report)
		if err != nil {
			return nil, Report{}, err
		}
		steps = append(steps, s...)
	}
	if !bytes.Equal(before[keyset.PlanFileName], after[keyset.PlanFileName]) {
		steps = append(steps, r.writeStep(keyset.PlanFileName, after[keyset.PlanFileName]))
	}
	tidy, err := r.removeSteps(after)
	return append(steps, tidy...), report, err
}

func (r Rotation) writeStep(name string, data []byte) step {
	return step{"write " + name, func() error { return atomicfile.Write(filepath.Join(r.Dir, name), data, 0o600) }}
}

func (r Rotation) publishSteps(files keyset.Files, out string, before []byte, report *Report) ([]step, error) {
	set, err := files.SigningKeys()
	if err != nil {
		return nil, err
	}
	data, changed, err := report.PlanPublication(set, out, before, r.Now)
	if err != nil || !changed {
		return nil, err
	}
	report.Changed = true
	return []step{{"publish", func() error { return atomicfile.Write(out, data, 0o644) }}}, nil
}

// removeSteps removes the files that keys.yaml does not name, and what a write that was
// cut off left behind: private keys that nothing uses.
func (r Rotation) removeSteps(files keyset.Files) ([]step, error) {
	stray, err := files.StrayFiles()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, entry := range entries {
		name := entry.Name()
		_, named := files[name]
		unused := keyset.IsKeyFile(name) && (!named || slices.Contains(stray, name))
		if unused || strings.HasPrefix(name, atomicfile.Prefix) {
			steps = append(steps, step{"remove " + name, func() error { return os.Remove(filepath.Join(r.Dir, name)) }})
		}
	}
	return steps, nil
}
