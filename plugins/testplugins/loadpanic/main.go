// Package main builds a plugin that panics while the gateway loads it. The tests of e2e/gateway show Tyk's
// reaction.
package main

import "net/http"

func init() { panic("a test plugin panics while it is loaded") }

// Hook is never found, because the load fails.
func Hook(http.ResponseWriter, *http.Request) {}

func main() {}
