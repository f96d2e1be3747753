package host

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Wildcard begins a pattern that means all names below another one.
const Wildcard = "*."

// CheckPattern rejects a host of a rule that is not written as hosts compare, or that no
// request can have. A deny rule on it would never deny. The error explains what to write.
func CheckPattern(text string) error {
	name, below := strings.CutPrefix(text, Wildcard)
	switch {
	case text == "*":
		return errors.New("it means every host: remove hosts")
	case strings.Contains(name, "*"):
		return errors.New("want * as the whole first label and nowhere else, as in *.example.com")
	case strings.Contains(text, "/"):
		return errors.New("want a host alone, without scheme and path")
	}
	canonical, err := canonicalHost(name)
	if err != nil {
		return err
	}
	if below {
		if isAddress(canonical) {
			return errors.New("an address has no names below it")
		}
		canonical = Wildcard + canonical
	}
	if canonical != text {
		return fmt.Errorf("write %q, hosts are compared without port, without a dot at the end and in lower case", canonical)
	}
	return nil
}

// canonicalHost is what the text of a document means, written as hosts compare: a name in its
// ASCII form (RFC 5890, A-labels), an IPv6 address as RFC 5952 writes it, in brackets.
func canonicalHost(text string) (string, error) {
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil && address.Is6() {
		return "[" + address.WithZone("").String() + "]", nil
	}
	name, _, err := splitHost(text)
	switch {
	case err != nil:
		return "", err
	case strings.HasPrefix(name, "[") && name != text:
		return canonicalHost(name)
	case strings.HasPrefix(name, "["):
		return "", errors.New("brackets without an IPv6 address")
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if name, err = idna.Lookup.ToASCII(name); err != nil {
			return "", fmt.Errorf("not a valid DNS name: %w", err)
		}
	}
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("%w: a host has letters, digits, dots, - and _", err)
	}
	return name, nil
}

// isAddress reports an address. The host is in its canonical form.
func isAddress(host string) bool {
	return strings.HasPrefix(host, "[") || isNumber(host[strings.LastIndexByte(host, '.')+1:])
}

// Match compares a host of a rule with that of a request. A Wildcard matches one or more
// labels.
func Match(pattern, host string) bool {
	suffix, below := strings.CutPrefix(pattern, "*")
	return pattern == host || below && len(host) > len(suffix) && strings.HasSuffix(host, suffix)
}

// Covers reports whether the pattern outer matches every host that inner matches.
func Covers(outer, inner string) bool {
	return outer == inner || Match(outer, strings.TrimPrefix(inner, "*"))
}
