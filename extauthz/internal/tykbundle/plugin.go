package tykbundle

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"regexp"
	"strings"

	build "github.com/meshpass/meshpass/internal/buildinfo"
	"github.com/meshpass/meshpass/internal/gateway/hooks"
)

// pluginName is the form of the names under which a gateway looks for the plugin of its release.
var pluginName = regexp.MustCompile(`^identity_(v\d+\.\d+\.\d+)_linux_(amd64|arm64)\.so$`)

// ReleaseName is the form of a Tyk release.
var ReleaseName = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

// Plugin describes a file of the plugin.
type Plugin struct {
	File    string `json:"file"`
	Release string `json:"tyk"` // of the gateway that loads it
	Arch    string `json:"arch"`
	Go      string `json:"go"` // the gateway must be built by the same version
}

// inspectPlugin compares the gateway that a file was built for with its name. It does not run the file.
func inspectPlugin(name string, content []byte) (Plugin, error) {
	match := pluginName.FindStringSubmatch(name)
	if match == nil {
		return Plugin{}, fmt.Errorf("%s: want a name such as identity_v5.8.1_linux_amd64.so, by which a gateway finds the plugin of its release; `make plugin` names it so", name)
	}
	p := Plugin{File: name, Release: match[1], Arch: match[2]}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return p, fmt.Errorf("%s: not a Go plugin, or cut off: %w", name, err)
	}
	p.Go = info.GoVersion
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	switch {
	case settings["-buildmode"] != "plugin":
		return p, fmt.Errorf("%s: not a Go plugin: build it with `make plugin`", name)
	case settings["GOARCH"] != p.Arch || settings["GOOS"] != "linux":
		return p, fmt.Errorf("%s: it was built for %s/%s, and its name says linux/%s: use the right file", name, settings["GOOS"], settings["GOARCH"], p.Arch)
	}
	symbols, err := readSymbols(content)
	if err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	release, err := symbols.readText(build.TykReleaseSymbol)
	if err != nil {
		return p, fmt.Errorf("%s: it does not say for which gateway it was built (%w): build it with `make plugin`", name, err)
	}
	if release != p.Release {
		return p, fmt.Errorf("%s: it was built for Tyk %s, and its name says %s: a gateway of %s cannot load it; build one with `make plugin TYK_SRC=DIR TYK_VERSION=%s`",
			name, release, p.Release, p.Release, p.Release)
	}
	for _, hook := range []string{hooks.Strip, hooks.Sign, hooks.Guard, hooks.Canary} {
		if !symbols.has(info.Path + "." + hook) {
			return p, fmt.Errorf("%s: it has no hook %s: build it with `make plugin`", name, hook)
		}
	}
	return p, nil
}

// symbolTable is the symbol table of a file.
type symbolTable struct {
	file   *elf.File
	byName map[string]elf.Symbol
}

func readSymbols(content []byte) (symbolTable, error) {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return symbolTable{}, err
	}
	all, err := file.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return symbolTable{}, errors.New("its symbol table was removed: use the file as `make plugin` built it")
	}
	if err != nil {
		return symbolTable{}, err
	}
	table := symbolTable{file: file, byName: make(map[string]elf.Symbol, len(all))}
	for _, symbol := range all {
		table.byName[symbol.Name] = symbol
	}
	return table, nil
}

func (t symbolTable) has(name string) bool { _, ok := t.byName[name]; return ok }

// readText reads a text that the linker has written (-X).
func (t symbolTable) readText(name string) (string, error) {
	symbol, ok := t.byName[name]
	if !ok || int(symbol.Section) >= len(t.file.Sections) || symbol.Size > 100 {
		return "", errors.New("no symbol " + name)
	}
	section := t.file.Sections[symbol.Section]
	text := make([]byte, symbol.Size)
	if _, err := section.ReadAt(text, int64(symbol.Value-section.Addr)); err != nil {
		return "", err
	}
	return strings.TrimRight(string(text), "\x00"), nil
}
