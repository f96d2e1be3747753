package main

import (
	"cmp"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// errRefused means that the gateway cannot load the plugin.
var errRefused = errors.New("the gateway cannot load the plugin")

// checkGateway has a gateway load the plugin for its version, from dir.
func checkGateway(gateway, dir string) (done string, err error) {
	version, err := versionOf(gateway)
	if err != nil {
		return "", err
	}
	name := fileName(version)
	for _, step := range []func(gateway, plugin string) error{checkExists, checkGoVersion, checkLoads} {
		err := step(gateway, filepath.Join(dir, name))
		if errors.Is(err, errRefused) {
			return "", fmt.Errorf("%w\nuse an image that was built for it: "+
				"docker build -f Dockerfile.plugin --build-arg TYK_VERSION=%s .", err, version)
		}
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("gateway %s loads %s", version, name), nil
}

var release = regexp.MustCompile(`v?(\d+\.\d+\.\d+)`)

// versionOf asks the gateway for its version. Suffixes like -rc1 are removed, as the gateway does when it
// looks for a plugin.
func versionOf(gateway string) (string, error) {
	said, err := exec.Command(gateway, "--version").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w\n%s", gateway, err, said)
	}
	version := release.FindSubmatch(said)
	if version == nil {
		return "", fmt.Errorf("%s --version: no version in %q", gateway, said)
	}
	return "v" + string(version[1]), nil
}

// fileName is the name of the file that a gateway looks for.
func fileName(version string) string {
	return fmt.Sprintf("identity_%s_%s_%s.so", version, runtime.GOOS, runtime.GOARCH)
}

func checkExists(_, plugin string) error {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(plugin), "*.so"))
	if err != nil {
		return err
	}
	var names []string
	for _, path := range found {
		if path == plugin {
			return nil
		}
		names = append(names, filepath.Base(path))
	}
	return fmt.Errorf("%w: it looks for %s, this folder has %s", errRefused,
		filepath.Base(plugin), cmp.Or(strings.Join(names, " "), "none"))
}

// checkGoVersion comes before the attempt to load: a plugin of another Go ends the gateway with "no plugin
// module data" and a hundred more lines.
func checkGoVersion(gateway, plugin string) error {
	theirs, err := buildinfo.ReadFile(gateway)
	if err != nil {
		return fmt.Errorf("%s: %w", gateway, err)
	}
	ours, err := buildinfo.ReadFile(plugin)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	if ours.GoVersion != theirs.GoVersion {
		return fmt.Errorf("%w: the gateway was built with %s, %s with %s",
			errRefused, theirs.GoVersion, filepath.Base(plugin), ours.GoVersion)
	}
	return nil
}

func checkLoads(gateway, plugin string) error {
	for _, symbol := range []string{"StripIdentity", "SignIdentity", "GuardUpstream", "Canary"} {
		said, err := exec.Command(gateway, "plugin", "load", "-f", plugin, "-s", symbol).CombinedOutput()
		if err != nil {
			reason, _, _ := strings.Cut(string(said), "\n\ngoroutine ")
			return fmt.Errorf("%w: %w\n%s", errRefused, err, reason)
		}
	}
	return nil
}
