package pins

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// fewest modules that a plugin can link: Tyk's ctx alone brings dozens. An empty list would agree with everything.
const fewest = 10

// Linked gives the modules of all packages that a build of these, in dir, holds.
func Linked(dir string, packages ...string) ([]Module, error) {
	format := `{{with .Module}}{"Path":"{{.Path}}","Version":"{{.Version}}","Main":{{.Main}}{{with .Replace}},"Replace":{"Path":"{{.Path}}","Version":"{{.Version}}"}{{end}}}{{end}}`
	out, err := goCommand(dir, append([]string{"list", "-mod=readonly", "-deps", "-tags", "goplugin", "-f", format}, packages...)...)
	if err != nil {
		return nil, err
	}
	seen := map[string]Module{}
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if line == "" {
			continue // a package of the standard library
		}
		var m Module
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		seen[m.Path] = m
	}
	if len(seen) < fewest {
		return nil, fmt.Errorf("%v: only %d modules: the list cannot be right", packages, len(seen))
	}
	return sorted(seen), nil
}

func sorted(seen map[string]Module) []Module {
	modules := make([]Module, 0, len(seen))
	for _, m := range seen {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return modules
}

// Released reads the go.mod of Tyk's source in dir, with its replacements, by module path.
func Released(dir string) (map[string]Module, error) {
	out, err := goCommand("", "mod", "edit", "-json", filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	var file struct {
		Require []Module
		Replace []struct{ Old, New Module }
	}
	if err := json.Unmarshal([]byte(out), &file); err != nil {
		return nil, err
	}
	modules := map[string]Module{}
	for _, m := range file.Require {
		modules[m.Path] = m
	}
	for _, r := range file.Replace {
		// A replacement of one version is inert while another one is required.
		if m, ok := modules[r.Old.Path]; ok && (r.Old.Version == "" || r.Old.Version == m.Version) {
			m.Replace = &r.New
			modules[r.Old.Path] = m
		}
	}
	return modules, nil
}

func goCommand(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w\n%s", err, firstLines(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}

// firstLines are enough: a module that cannot be fetched is reported once for each file that imports it.
func firstLines(stderr string) string {
	const enough = 4
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if len(lines) > enough {
		lines = append(lines[:enough], fmt.Sprintf("and %d lines more", len(lines)-enough))
	}
	return strings.Join(lines, "\n")
}
