// Package main builds a plugin that panics while the gateway loads it. The tests
// of e2e/gateway show what Tyk makes of that.
package main

import "net/http"

func init() { panic("a test plugin panics while it is loaded") }

// Hook is looked up, and never found.
func Hook(http.ResponseWriter, *http.Request) {}

func main() {}
