package main

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const defaultOps = "http://127.0.0.1:9090"

// parseOpsAddress returns the URL of the probes of an authorizer, from a URL or from
// HOST:PORT, as in ops of the configuration.
func parseOpsAddress(text string) (string, error) {
	whole := text
	if !strings.Contains(text, "://") {
		host, port, err := net.SplitHostPort(text)
		if _, notPort := strconv.ParseUint(port, 10, 16); err != nil || notPort != nil || host == "" {
			return "", fmt.Errorf("%q is not an address of ops: write 127.0.0.1:9090, or a URL such as %s", text, defaultOps)
		}
		whole = "http://" + text
	}
	u, err := url.Parse(whole)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("%q is not an address of ops: write 127.0.0.1:9090, or a URL such as %s", text, defaultOps)
	}
	return strings.TrimSuffix(whole, "/"), nil
}
