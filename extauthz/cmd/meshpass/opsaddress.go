package main

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const defaultOps = "http://127.0.0.1:9090"

// parseOpsAddress reads where an authorizer serves its probes: a URL, or HOST:PORT as ops in the
// configuration has it.
func parseOpsAddress(text string) (string, error) {
	whole := text
	if !strings.Contains(text, "://") {
		host, port, err := net.SplitHostPort(text)
		if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil || host == "" {
			return "", fmt.Errorf("%q is no address of ops: write 127.0.0.1:9090, or a URL such as %s", text, defaultOps)
		}
		whole = "http://" + text
	}
	u, err := url.Parse(whole)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is no address of ops: write 127.0.0.1:9090, or a URL such as %s", text, defaultOps)
	}
	return strings.TrimSuffix(whole, "/"), nil
}
