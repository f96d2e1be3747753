package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/internal/buildinfo"
)

// version describes the source and the platform of this program.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the repository, where the build recorded it
	Date     string `json:"date,omitempty"`     // of the revision
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func readVersion() version {
	build := buildinfo.ReadBuild()
	return version{
		Version: cmp.Or(build.Version, "unknown"), Revision: build.Revision, Date: build.Date, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
}

func versionLine() string {
	v := readVersion()
	origin := ""
	if v.Revision != "" {
		origin = fmt.Sprintf(" (%.12s, %s)", v.Revision, cmp.Or(v.Date, "no date"))
	}
	return fmt.Sprintf("meshpass %s%s %s %s/%s", v.Version, origin, v.Go, v.OS, v.Arch)
}

// Print writes the version as text.
func (v version) Print(to io.Writer) error {
	_, err := fmt.Fprintln(to, versionLine())
	return err
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version [flags]", Short: "Print the version", Long: "Prints the version, the commit with its date, and the version of Go that built it.", Args: noArgs}
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return printAnswer(cmd, readVersion(), *format) }
	return cmd
}
