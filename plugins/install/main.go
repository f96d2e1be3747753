// Program install puts the plugin beside a Tyk gateway and has that gateway load it. Both are steps of a
// pod's start (init containers), in images without a shell.
//
//	install unpack DIR     in the plugin's image: copies the plugins and itself into DIR
//	install check GATEWAY  in the gateway's image, run from DIR: has the gateway load the plugin for it
//
// The second step exists because a gateway that cannot load the plugin starts all the same, and reports
// that it is healthy. If this program fails, the pod does not start, and `kubectl describe` shows its last
// output.
//
// Exit codes: 0 fine, 1 the gateway cannot load the plugin, 2 could not do it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// pluginsDir is the folder of the plugins in the image.
const pluginsDir = "/plugins"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	done, err := runCommand(args)
	if err != nil {
		fmt.Fprintln(stderr, "install:", err)
		if errors.Is(err, errRefused) {
			return 1
		}
		return 2
	}
	fmt.Fprintln(stdout, "install:", done)
	return 0
}

func runCommand(args []string) (done string, err error) {
	self, err := os.Executable()
	switch {
	case err != nil:
		return "", err
	case len(args) == 2 && args[0] == "unpack":
		return unpackPlugins(args[1], pluginsDir, self)
	case len(args) == 2 && args[0] == "check":
		return checkGateway(args[1], filepath.Dir(self))
	}
	return "", errors.New("usage: install unpack DIR, or install check GATEWAY")
}
