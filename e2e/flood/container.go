package flood

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// containerMemory is the limit of manifests/base/deployment.yaml.
const containerMemory = 256 << 20

// The controllers' folders, and their files for the limit and the highest use of a group (cgroups(7)).
var hierarchies = []struct{ kind, root, controller, limit, peak string }{
	{"cgroup v2, 256 MiB", "/sys/fs/cgroup", "", "memory.max", "memory.peak"},
	{"cgroup v1, 256 MiB", "/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes"},
}

// container is a control group with the memory of the shipped container.
type container struct {
	kind     string
	dir      string // empty: there is none, and GOMEMLIMIT takes its place
	peakFile string
}

// newContainer makes a group below our own one. Only root may do that, or the owner of a delegated group.
func newContainer(name string) container {
	for _, h := range hierarchies {
		own, ok := findOwnGroup(h.controller)
		if !ok {
			continue
		}
		dir := filepath.Join(h.root, own, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		if writeExisting(filepath.Join(dir, h.limit), strconv.Itoa(containerMemory)) == nil {
			return container{kind: h.kind, dir: dir, peakFile: filepath.Join(dir, h.peak)}
		}
		_ = os.Remove(dir) // the controller is not ours
	}
	return container{kind: "GOMEMLIMIT, no cgroup"}
}

// writeExisting never makes a file: without the controller, a group has no such file.
func writeExisting(name, text string) error {
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// findOwnGroup returns our own group in a controller's hierarchy.
func findOwnGroup(controller string) (path string, ok bool) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && parts[1] == controller {
			return parts[2], true
		}
	}
	return "", false
}

// command returns the program and arguments that run a program in the container.
func (c container) command(program string, args []string) (path string, all, env []string) {
	if c.dir == "" {
		return program, args, []string{fmt.Sprintf("GOMEMLIMIT=%d", containerMemory*9/10)}
	}
	join := `echo $$ >"$0/cgroup.procs" && exec "$@"`
	return "/bin/sh", append([]string{"-c", join, c.dir, program}, args...), []string{"GOMEMLIMIT="}
}

// peak is the highest use of the group, with the kernel's buffers; 0: unknown.
func (c container) peak() int64 {
	data, err := os.ReadFile(c.peakFile)
	if err != nil {
		return 0
	}
	peak, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64) // 0: unknown
	return peak
}

// remove is called when the program has ended. The kernel needs a moment to notice.
func (c container) remove() error {
	if c.dir == "" {
		return nil
	}
	var err error
	for range 100 {
		if err = syscall.Rmdir(c.dir); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}
