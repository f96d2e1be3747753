// Package buildinfo names the build of this program, as the Go toolchain recorded it.
package buildinfo

import "runtime/debug"

// Build names a build. A part that was not recorded is empty.
type Build struct {
	Version  string // of the main module
	Revision string // of its repository
}

// ReadBuild returns the build of this program.
func ReadBuild() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return Build{}
	}
	b := Build{Version: info.Main.Version}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			b.Revision = setting.Value
		}
	}
	return b
}
