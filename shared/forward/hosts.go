package forward

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Hosts are the hosts that a token may be sent to: those of the mesh. The zero value has none, so
// that a client that was not told of any passes nothing on.
type Hosts []Host

// Host is one entry: `orders.shop.svc.cluster.local`, `*.svc.cluster.local` for every name below, an
// IP address; with a port, only that port.
type Host struct {
	host   string // lower case; of a suffix with its leading dot
	suffix bool
	port   string // "": any
}

// ParseHosts reads entries as people write them, and refuses what could let a token leave the mesh:
// a lone *, a suffix of one label, what is no host name.
func ParseHosts(entries ...string) (Hosts, error) {
	var all Hosts
	for _, entry := range entries {
		u, err := ParseHost(entry)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

// MustParseHosts is for lists that stand in the program's text; it panics where [ParseHosts] fails.
func MustParseHosts(entries ...string) Hosts {
	all, err := ParseHosts(entries...)
	if err != nil {
		panic(err)
	}
	return all
}

// ParseHost reads one entry of [ParseHosts].
func ParseHost(entry string) (Host, error) {
	var u Host
	target, err := url.Parse("http://" + entry)
	if err != nil || target.Host != entry || strings.HasSuffix(entry, ":") {
		return u, fmt.Errorf("%q: want a host, *.SUFFIX or an IP address, with a port if only that one is meant", entry)
	}
	u.host, u.port = target.Hostname(), target.Port()
	if u.host, u.suffix = strings.CutPrefix(u.host, "*."); u.suffix && strings.Count(u.host, ".") == 0 {
		return u, fmt.Errorf("%q: a suffix of one label would let tokens leave the mesh", entry)
	}
	host, ok := hostName(u.host)
	if _, err := netip.ParseAddr(host); !ok || u.suffix && err == nil {
		return u, fmt.Errorf("%q: %q is not a host name", entry, u.host)
	}
	if u.host = host; u.suffix {
		u.host = "." + host
	}
	return u, nil
}

// Admit reports whether a token may go with a request to this URL.
func (all Hosts) Admit(target *url.URL) bool {
	host, ok := hostName(target.Hostname())
	port := target.Port()
	switch target.Scheme {
	case "http", "ws", "h2c":
		port = portOr(port, "80")
	case "https", "wss":
		port = portOr(port, "443")
	default:
		return false
	}
	for _, u := range all {
		named := u.host == host || u.suffix && strings.HasSuffix(host, u.host)
		if ok && named && (u.port == "" || u.port == port) {
			return true
		}
	}
	return false
}

func portOr(port, otherwise string) string {
	if port == "" {
		return otherwise
	}
	return port
}

// hostName gives the one spelling of a host, and whether it is one. Names are
// those of DNS in ASCII: Go maps others before it dials (U+3002 is a dot to it),
// so that what would be compared here is not where the request goes.
func hostName(host string) (string, bool) {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.String(), address.Zone() == ""
	}
	host = strings.TrimSuffix(host, ".") // the root's, which changes nothing
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || strings.ContainsFunc(label, notOfName) {
			return "", false
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" { // part of an address, or one in an odd spelling
		return "", false
	}
	return strings.ToLower(host), true
}

func notOfName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}
