package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
)

var methodForm = regexp.MustCompile(`^[A-Z]+$`)

func (b *ruleBuilder) to(t to) {
	for i, m := range t.Methods {
		if !methodForm.MatchString(m) {
			b.fail(fmt.Errorf("method %q: methods are written in capitals", m), "methods", i)
		}
	}
	for i, host := range t.Hosts {
		if host != normalHost(host) {
			b.fail(fmt.Errorf("host %q: write %q, hosts compare without port", host, normalHost(host)), "hosts", i)
		}
	}
	for i, port := range t.Ports {
		if port < 1 || port > 65535 {
			b.fail(fmt.Errorf("port %d: want 1 to 65535", port), "ports", i)
		}
	}
	if len(t.Methods) > 0 {
		b.outer(methodIn(t.Methods))
	}
	if b.rule.hosts = t.Hosts; len(t.Hosts) > 0 {
		b.outer(hostIn(t.Hosts))
	}
	if len(t.Ports) > 0 {
		b.rule.document.reads.port = true
		b.outer(portIn(t.Ports))
	}
	b.paths(t)
}

func (b *ruleBuilder) paths(t to) {
	for i, text := range t.Paths {
		p, err := parsePattern(text)
		if err != nil {
			b.fail(fmt.Errorf("path %q: %w", text, err), "paths", i)
		}
		b.rule.patterns = append(b.rule.patterns, p)
	}
	for i, text := range t.AllowEncoded {
		escape, err := parseEscape(text)
		if err != nil {
			b.fail(err, "allowEncoded", i)
		}
		b.rule.admitted |= escape
	}
	if len(t.AllowEncoded) > 0 && !slices.ContainsFunc(b.rule.patterns, func(p pattern) bool { return len(p.captures()) > 0 }) {
		b.fail(errors.New("allowEncoded admits escapes inside a capture only: write {name} in to.paths"), "allowEncoded")
	}
}
