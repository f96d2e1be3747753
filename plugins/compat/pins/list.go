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

// minModules is the least number of modules that a plugin can link: Tyk's ctx alone needs dozens. An
// empty list would agree with every go.mod.
const minModules = 10

// LinkedModules gives the modules of all packages in a build of these packages, in dir.
func LinkedModules(dir string, packages ...string) ([]Module, error) {
	format := `{{with .Module}}{"Path":"{{.Path}}","Version":"{{.Version}}","Main":{{.Main}}{{with .Replace}},"Replace":{"Path":"{{.Path}}","Version":"{{.Version}}"}{{end}}}{{end}}`
	out, err := runGo(dir, append([]string{"list", "-mod=readonly", "-deps", "-tags", "goplugin", "-f", format}, packages...)...)
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
	if len(seen) < minModules {
		return nil, fmt.Errorf("%v: only %d modules: the list cannot be right", packages, len(seen))
	}
	return sortModules(seen), nil
}

func sortModules(seen map[string]Module) []Module {
	modules := make([]Module, 0, len(seen))
	for _, m := range seen {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b Module) int { return strings.Compare(a.Path, b.Path) })
	return modules
}

// ReleasedModules reads the go.mod of Tyk's source in dir, with its replacements, by module path.
func ReleasedModules(dir string) (map[string]Module, error) {
	out, err := runGo("", "mod", "edit", "-json", filepath.Join(dir, "go.mod"))
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
		// A replacement of one version has no effect while another version is required.
		if m, ok := modules[r.Old.Path]; ok && (r.Old.Version == "" || r.Old.Version == m.Version) {
			m.Replace = &r.New
			modules[r.Old.Path] = m
		}
	}
	return modules, nil
}

func runGo(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%w\n%s", err, shortenErrors(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(out), nil
}

// shortenErrors shortens the errors of go: it reports a module that cannot be fetched once for each file that
// imports it.
func shortenErrors(stderr string) string {
	const enough = 4
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if len(lines) > enough {
		lines = append(lines[:enough], fmt.Sprintf("and %d lines more", len(lines)-enough))
	}
	return strings.Join(lines, "\n")
}
