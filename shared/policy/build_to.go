package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// methodForm is a token (RFC 9110 section 5.6.2) without small letters, which make a method
// ambiguous, and without "*", which is no wildcard here.
var methodForm = regexp.MustCompile("^[!#$%&'+.^_`|~0-9A-Z-]*[A-Z][!#$%&'+.^_`|~0-9A-Z-]*$")

// checkMethod refuses a method that no request can have.
func checkMethod(text string) error {
	switch {
	case text == "*":
		return errors.New("every method has it: remove methods")
	case strings.ToUpper(text) != text && methodForm.MatchString(strings.ToUpper(text)):
		return fmt.Errorf("methods are written in capitals: write %s", strings.ToUpper(text))
	case !methodForm.MatchString(text):
		return errors.New("methods are written in capitals, with digits and the signs of a token, such as GET and M-SEARCH")
	}
	return nil
}

func (b *ruleBuilder) to(t to) {
	for i, m := range t.Methods {
		if err := checkMethod(m); err != nil {
			b.fail(fmt.Errorf("method %q: %w", m, err), "methods", i)
		}
	}
	for i, host := range t.Hosts {
		if err := checkHostPattern(host); err != nil {
			b.fail(fmt.Errorf("host %q: %w", host, err), "hosts", i)
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
