// Package main builds a plugin that does nothing. The benchmarks put it on the same hooks as the identity
// plugin, so that the cost of a hook by itself does not count as the cost of signing.
package main

import "net/http"

// Pass lets every request through unchanged.
func Pass(http.ResponseWriter, *http.Request) {}

func main() {}
