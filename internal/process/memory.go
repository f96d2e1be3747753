package process

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what a program has in memory (VmRSS, RssAnon and VmHWM of proc_pid_status(5)), in bytes. Anonymous is the part of
// Resident that no file has: heap and stacks, without the pages of the executable.
type Memory struct{ Resident, Anonymous, Peak int64 }

// Memory reads it from /proc. It is an error if the program has ended.
func (p *Proc) Memory() (Memory, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return Memory{}, err
	}
	defer file.Close()
	var m Memory
	fields := map[string]*int64{"VmRSS:": &m.Resident, "RssAnon:": &m.Anonymous, "VmHWM:": &m.Peak}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 3 || fields[words[0]] == nil {
			continue
		}
		kib, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("%s: %w", file.Name(), err)
		}
		*fields[words[0]] = kib << 10
		delete(fields, words[0])
	}
	if len(fields) > 0 {
		return Memory{}, fmt.Errorf("%s: no memory: the program has ended", file.Name())
	}
	return m, lines.Err()
}

// ResetPeak begins a new measurement of [Memory.Peak]: see clear_refs in proc(5).
func (p *Proc) ResetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.PID()), []byte("5"), 0o200)
}

// Descriptors counts the open files of the program. It is an error if the program has ended.
func (p *Proc) Descriptors() (int, error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	return len(open), err
}
