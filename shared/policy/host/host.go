// Package host holds the hosts of requests and the patterns of rules that they are
// compared with.
//
// [Check] rejects a host that a router and we may read in two ways. Hosts compare in the
// form that [Normalize] gives. A pattern is a name, an address, or *.NAME for all names
// below one.
package host

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Check rejects hosts that a router and we could read in two ways. It admits a name, an IPv4
// address or an IPv6 address in brackets, each with or without a port (RFC 9110 section 7.2:
// uri-host [":" port]), and the empty host. Envoy compares names with their trailing dot at a
// gateway, so Check rejects that dot there too.
//
// An empty host is no second reading of another one: no rule names it, and a router has its
// default for it.
func Check(host string, gateway bool) error {
	if host == "" {
		return nil
	}
	name, port, err := splitHost(host)
	switch {
	case err != nil:
		return err
	case strings.HasPrefix(name, "["):
		err = checkIPv6(strings.ToLower(name))
	case gateway && strings.HasSuffix(name, "."):
		return errors.New("a dot at the end")
	default:
		err = checkName(strings.TrimSuffix(name, "."))
	}
	if err == nil && port != "" {
		err = checkPort(port[1:])
	}
	return err
}

// splitHost cuts a host where its port begins; port has its colon.
func splitHost(host string) (name, port string, err error) {
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return host, "", errors.New("a bracket that is not closed")
		}
		if name, port = host[:end+1], host[end+1:]; port != "" && port[0] != ':' {
			return host, "", errors.New("text after the brackets")
		}
		return name, port, nil
	}
	if strings.Count(host, ":") > 1 {
		return host, "", errors.New("several colons")
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		return host[:i], host[i:], nil
	}
	return host, "", nil
}

// checkPort wants 1 to 65535, as a number is written.
func checkPort(text string) error {
	if n, err := strconv.ParseUint(text, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return fmt.Errorf("the port %q: not a number from 1 to 65535", text)
	}
	return nil
}

// checkIPv6 wants an address in brackets as RFC 5952 writes it: others of its spellings are the
// same address to a server that parses it, and another host to a router that compares texts.
func checkIPv6(name string) error {
	address, err := netip.ParseAddr(strings.Trim(name, "[]"))
	switch {
	case err != nil || !address.Is6():
		return errors.New("brackets without an IPv6 address")
	case address.Zone() != "":
		return errors.New("an IPv6 address with a zone")
	case "["+address.String()+"]" != name:
		return fmt.Errorf("an IPv6 address that is not written as [%s]", address)
	}
	return nil
}

// checkName wants labels of letters, digits, - and _, or an IPv4 address. Where the last label is a
// number, parsers of URLs take the whole for an address in any form: 127.1, 0x7f000001
// (WHATWG URL, "ends in a number").
func checkName(name string) error {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c != '.' && !isNameCharacter(c) {
			return fmt.Errorf("the byte %q", c)
		}
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" {
			return errors.New("an empty label")
		}
	}
	if !isNumber(labels[len(labels)-1]) {
		return nil
	}
	if address, err := netip.ParseAddr(name); err != nil || address.String() != name {
		return errors.New("an IPv4 address that is not four numbers")
	}
	return nil
}

func isNameCharacter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// isNumber reports what the WHATWG URL parser takes for a part of an IPv4 address.
func isNumber(label string) bool {
	label = strings.ToLower(label)
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// Normalize gives the form that hosts are compared in: lower-case, without port or trailing
// dot. A host that [Check] rejects is compared with nothing, and stays as it is.
func Normalize(host string) string {
	name, _, err := splitHost(host)
	if err != nil {
		return host
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
