// Package main builds a plugin that panics in every request. The tests of e2e/gateway show Tyk's reaction.
package main

import "net/http"

// Hook panics before it has answered.
func Hook(http.ResponseWriter, *http.Request) { panic("a test plugin panics in a request") }

func main() {}
