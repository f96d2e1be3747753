package forward

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

// Hosts are the hosts to which a token may go: those of the mesh. The zero value has none, so that
// a client that was not told of any passes nothing on. It is immutable.
type Hosts struct {
	names    map[string]bool
	suffixes []string // with the leading dot
}

var hostname = regexp.MustCompile(`^[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$`)

// ParseHosts reads names as people write them: "orders.shop.svc.cluster.local", an IP address, or
// "*.svc.cluster.local" for every name below that one. Ports are not part of a name, and a lone
// "*" is refused: whoever passes a token on says where the mesh ends.
func ParseHosts(patterns ...string) (Hosts, error) {
	h := Hosts{names: map[string]bool{}}
	for _, pattern := range patterns {
		name, wild := strings.CutPrefix(pattern, "*.")
		address := net.ParseIP(name)
		switch {
		case !wild && address != nil:
			h.names[address.String()] = true
		case address != nil || !hostname.MatchString(name):
			return Hosts{}, fmt.Errorf("host %q: want a lower-case name, an IP address or *.SUFFIX, without port", pattern)
		case wild:
			h.suffixes = append(h.suffixes, "."+name)
		default:
			h.names[name] = true
		}
	}
	return h, nil
}

// MustParseHosts is for lists that stand in the program's text; it panics where [ParseHosts] fails.
func MustParseHosts(patterns ...string) Hosts {
	h, err := ParseHosts(patterns...)
	if err != nil {
		panic(err)
	}
	return h
}

// Contain reports whether host, with or without port, is one of these. Names compare without case
// and trailing dot (RFC 4343, RFC 1034 3.1).
func (h Hosts) Contain(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if address := net.ParseIP(host); address != nil {
		return h.names[address.String()]
	}
	if h.names[host] {
		return true
	}
	for _, suffix := range h.suffixes {
		if strings.HasSuffix(host, suffix) && hostname.MatchString(host) {
			return true
		}
	}
	return false
}
