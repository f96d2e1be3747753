package forward

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Hosts are the hosts that a token may be sent to, those of the mesh. The zero value is
// empty: a client without a list passes no token on.
type Hosts []Host

// Host is one entry of [Hosts]: a name such as orders.shop.svc.cluster.local, every name
// below a suffix such as *.svc.cluster.local, or an IP address. An entry with a port names
// only that port.
type Host struct {
	host   string // lower case; of a suffix, with its leading dot
	suffix bool
	port   string // empty: any
}

// ParseHosts reads the entries of [Hosts]. It rejects an entry that could let a token leave
// the mesh: * alone, a suffix of one label, and a text that is not a host name.
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

// MustParseHosts is [ParseHosts] for lists in the source code. It panics on an error.
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
	host, ok := canonicalHost(u.host)
	if _, err := netip.ParseAddr(host); !ok || u.suffix && err == nil {
		return u, fmt.Errorf("%q: %q is not a host name", entry, u.host)
	}
	if u.host = host; u.suffix {
		u.host = "." + host
	}
	return u, nil
}

// Admit reports whether a token may be sent with a request to this URL. Without a port it
// is the port of the scheme; other schemes than http, h2c, ws, https and wss are not
// admitted.
func (all Hosts) Admit(target *url.URL) bool {
	host, ok := canonicalHost(target.Hostname())
	port := target.Port()
	switch target.Scheme {
	case "http", "ws", "h2c":
		port = portOrDefault(port, "80")
	case "https", "wss":
		port = portOrDefault(port, "443")
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

func portOrDefault(port, byScheme string) string {
	if port == "" {
		return byScheme
	}
	return port
}

// canonicalHost returns the one spelling of a host that is compared. ok is false for a text
// that is not a host. Names are those of DNS in ASCII. Go maps other characters before it
// dials, U+3002 to a dot for example: the host that is compared here would not be the host
// that the request goes to.
func canonicalHost(host string) (canonical string, ok bool) {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.String(), address.Zone() == ""
	}
	host = strings.TrimSuffix(host, ".") // of the root, which changes nothing
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || strings.ContainsFunc(label, isNotHostCharacter) {
			return "", false
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" { // part of an IP address, or an unusual spelling of one
		return "", false
	}
	return strings.ToLower(host), true
}

func isNotHostCharacter(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}
