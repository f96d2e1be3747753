// Package buildinfo names the build of this program or plugin.
package buildinfo

import (
	"cmp"
	"runtime/debug"
)

// A release writes these by -ldflags -X. The command line reads tykRelease out of the file of a plugin, by this name.
var (
	version    string // such as v1.2.3
	revision   string // the commit
	date       string // of the commit, RFC 3339 in UTC, so that two builds of a commit are equal
	tykRelease string // of a plugin: the gateway that it was built for, such as v5.8.1
)

// TykReleaseSymbol is the name of the text of tykRelease in the symbol table of a plugin.
const TykReleaseSymbol = "github.com/meshpass/meshpass/internal/buildinfo.tykRelease.str"

// Build names a build. A part that was not recorded is empty.
type Build struct {
	Version    string
	Revision   string
	Date       string
	TykRelease string // empty for the authorizer
}

// StampedBuild returns what the build wrote. A plugin has nothing else: what the toolchain records there is about the gateway.
func StampedBuild() Build {
	return Build{Version: version, Revision: revision, Date: date, TykRelease: tykRelease}
}

// ReadBuild returns the build of this program: what the build wrote, else what the Go toolchain recorded.
func ReadBuild() Build {
	b := StampedBuild()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = cmp.Or(b.Version, info.Main.Version)
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = cmp.Or(b.Revision, setting.Value)
		case "vcs.time":
			b.Date = cmp.Or(b.Date, setting.Value)
		}
	}
	return b
}
