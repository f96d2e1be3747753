// Program install puts the plugin beside a Tyk gateway and tries it there. Both
// are steps of a pod's start (init containers), in images without a shell.
//
//	install unpack DIR     in the plugin's image: copies the plugins and itself into DIR
//	install check GATEWAY  in the gateway's image, run from DIR: has the gateway load the plugin for it
//
// The second step is there because a gateway starts, and says that it is well,
// with a plugin that it cannot load. A program that ends ends the pod's start,
// and what it wrote last is what `kubectl describe` shows.
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

// plugins is where the image has them.
const plugins = "/plugins"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	done, err := command(args)
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

func command(args []string) (done string, err error) {
	self, err := os.Executable()
	switch {
	case err != nil:
		return "", err
	case len(args) == 2 && args[0] == "unpack":
		return unpack(args[1], plugins, self)
	case len(args) == 2 && args[0] == "check":
		return check(args[1], filepath.Dir(self))
	}
	return "", errors.New("usage: install unpack DIR, or install check GATEWAY")
}
