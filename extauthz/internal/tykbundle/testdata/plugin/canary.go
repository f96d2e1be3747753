//go:build canary

package main

import "net/http"

func Canary(http.ResponseWriter, *http.Request) {}
