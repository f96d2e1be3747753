package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cyclonedx writes the bills of materials. It is a tool of its own, because its dependencies are not ours.
const cyclonedx = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0"

// step logs what is done next.
func step(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// runCommand runs a program in a folder, with its output on standard error.
func runCommand(dir string, env []string, program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s in %s: %w, see above", program, dir, err)
	}
	return nil
}

// stampFlags are the linker's flags for a program: the names of the build, and nothing that differs between two builds.
func (o options) stampFlags() string {
	const into = "github.com/meshpass/meshpass/internal/buildinfo"
	return fmt.Sprintf("-s -w -buildid= -X %[1]s.version=%[2]s -X %[1]s.revision=%[3]s -X %[1]s.date=%[4]s", into, o.version, o.revision, o.dateText())
}

func (o options) dateText() string { return o.date.Format(time.RFC3339) }

// buildProgram builds a program without C.
func (o options) buildProgram(module, pkg, arch, out string) error {
	step("building %s for linux/%s", filepath.Base(out), arch)
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOWORK=off"}
	return runCommand(filepath.Join(o.root, module), env, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", o.stampFlags(), "-o", out, pkg)
}

// buildPlugin builds the plugin for a gateway release and has that gateway load it.
func (o options) buildPlugin(gateway gatewaySource, dir string) (path string, err error) {
	step("building the plugin for Tyk %s", gateway.release)
	env := []string{"OUT=" + dir, "VERSION=" + o.version, "REVISION=" + o.revision, "DATE=" + o.dateText(), "GOFLAGS="}
	if gateway.source != "" {
		env = append(env, "TYK_SRC="+gateway.source, "TYK_VERSION="+gateway.release)
	}
	if err := runCommand(o.root, env, filepath.Join(o.root, "plugins", "build.sh")); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "identity_"+gateway.release+"_linux_amd64.so")
	_, err = os.Stat(path)
	return path, err
}

// writeBill writes the bill of materials of a program or plugin.
func (o options) writeBill(program, out string) error {
	return runCommand(o.root, []string{"GOFLAGS=", "GOWORK=off"}, "go", "run", cyclonedx, "bin",
		"-json", "-noserial", "-notimestamp", "-version", o.version, "-output", out, program)
}

// moduleList is the manifest of a plugin: with these versions the gateway must have been built.
type moduleList struct {
	File     string            `json:"file"`
	Version  string            `json:"version"`
	Revision string            `json:"revision"`
	Tyk      string            `json:"tyk"`
	Go       string            `json:"go"`
	Settings map[string]string `json:"settings"`
	Modules  []module          `json:"modules"`
}

type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"` // of the checksum database; absent: from a folder of the build
}

// listModules reads what a plugin was built of.
func (o options) listModules(plugin, tyk string) ([]byte, error) {
	info, err := buildinfo.ReadFile(plugin)
	if err != nil {
		return nil, err
	}
	list := moduleList{File: filepath.Base(plugin), Version: o.version, Revision: o.revision, Tyk: tyk, Go: info.GoVersion, Settings: map[string]string{}}
	for _, setting := range info.Settings {
		list.Settings[setting.Key] = setting.Value
	}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		list.Modules = append(list.Modules, module{dep.Path, dep.Version, dep.Sum})
	}
	slices.SortFunc(list.Modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.MarshalIndent(list, "", "  ")
	return append(text, '\n'), err
}
