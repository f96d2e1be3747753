package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/meshpass/meshpass/e2e/repo"
)

// Machine is where a run took place.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	System     string `json:"system"`
}

func (m Machine) String() string {
	return fmt.Sprintf("%d × %s, %s %s, %s", m.Processors, m.Processor, m.System, m.Kernel, m.Go)
}

func readMachine() Machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // empty where there is no /proc
	return Machine{
		Processor: readProcessor(), Processors: runtime.NumCPU(), Kernel: strings.TrimSpace(string(kernel)),
		Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

func readProcessor() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func readLoad() string {
	data, _ := os.ReadFile("/proc/loadavg") // empty where there is no /proc
	fields := strings.Fields(string(data))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

func readCommit() string {
	root, err := repo.Root()
	if err != nil {
		return "unknown"
	}
	git := func(args ...string) (string, error) {
		output, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		return strings.TrimSpace(string(output)), err
	}
	commit, err := git("rev-parse", "--short=10", "HEAD")
	if err != nil {
		return "unknown"
	}
	if changes, err := git("status", "--porcelain", "--untracked-files=no"); err == nil && changes != "" {
		commit += "+changes"
	}
	return commit
}
