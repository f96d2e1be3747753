package keys

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// step is one write. If a command ends between two steps, gateways can use the
// directory, and the next run completes the change.
type step struct {
	name string
	run  func() error
}

// Rotate brings a key directory up to date, and the file of the published set if out
// names one.
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

// planSteps returns steps in an order that is safe after each of them: a key file exists
// before keys.yaml names it, the set is published before a gateway can sign with the key,
// and a file is removed after keys.yaml no longer names it.
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
	removals, err := r.removeSteps(after)
	return append(steps, removals...), report, err
}

func (r Rotation) writeStep(name string, data []byte) step {
	return step{name: "write " + name, run: func() error { return atomicfile.Write(filepath.Join(r.Dir, name), data, 0o600) }}
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
	return []step{{name: "publish", run: func() error { return atomicfile.Write(out, data, 0o644) }}}, nil
}

// removeSteps removes private keys that are not used: key files that keys.yaml does not
// name, and the temporary files of interrupted writes.
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
			steps = append(steps, step{name: "remove " + name, run: func() error { return os.Remove(filepath.Join(r.Dir, name)) }})
		}
	}
	return steps, nil
}

// readFiles reads a key directory; empty: keys.yaml does not exist yet.
func readFiles(dir string) (keyset.Files, error) {
	if _, err := os.Stat(filepath.Join(dir, keyset.PlanFileName)); errors.Is(err, os.ErrNotExist) {
		return keyset.Files{}, nil
	}
	return keyset.ReadFiles(dir)
}

// readSet reads a published key set; nil: the file does not exist yet.
func readSet(file string) ([]byte, error) {
	data, err := readfile.Read(file, keyset.MaxSetBytes+1)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// lockDir makes the directory if needed, for its owner only, and locks it until unlock.
// Two commands that change it at the same time would both write keys.yaml, and a key of
// one of them would be lost.
func lockDir(dir string) (unlock func(), err error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	held, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		held.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { held.Close() }, nil
}
