// Package main is a plugin with the names of our hooks, and the stamp of the build.
package main

import (
	"net/http"

	"github.com/meshpass/meshpass/internal/buildinfo"
)

// Build is what the build wrote.
var Build = buildinfo.StampedBuild()

func main() {}

func StripIdentity(http.ResponseWriter, *http.Request) {}
func SignIdentity(http.ResponseWriter, *http.Request)  {}
func GuardUpstream(http.ResponseWriter, *http.Request) {}
