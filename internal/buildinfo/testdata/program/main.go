// Package main prints its build.
package main

import (
	"fmt"

	"github.com/meshpass/meshpass/internal/buildinfo"
)

func main() { fmt.Printf("%+v\n%+v\n", buildinfo.StampedBuild(), buildinfo.ReadBuild()) }
