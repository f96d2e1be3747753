package app

import (
	"net/http"
	"net/netip"
	"regexp"
)

// listenerConfig says where Checks arrive, and what may be believed of those
// that arrive there.
type listenerConfig struct {
	Name         string   `yaml:"name"`
	GRPC         string   `yaml:"grpc"`
	Caller       string   `yaml:"caller"`
	Callee       string   `yaml:"callee"`
	Services     string   `yaml:"services"`
	Clients      []string `yaml:"clients"`
	TokenFailure int      `yaml:"tokenFailure"`
}

var listenerName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (l *loader) checkListeners() {
	l.hasEntries(path{"listeners"}, len(l.config.Listeners))
	names, addresses := map[string]bool{}, map[netip.AddrPort]bool{}
	for i := range l.config.Listeners {
		listener, at := &l.config.Listeners[i], path{"listeners", i}
		l.checkListenerName(at.with("name"), listener.Name, names)
		l.checkAddress(at.with("grpc"), listener.GRPC, addresses)
		l.checkExposure(at.with("grpc"), listener.GRPC)
		l.checkPeers(at, *listener)
		l.checkListenerClients(at, *listener)
		l.checkTokenFailure(at.with("tokenFailure"), listener)
	}
	if l.doc.Has("ops") {
		l.checkAddress(path{"ops"}, l.config.Ops, addresses)
	}
}

func (l *loader) checkListenerName(at path, name string, seen map[string]bool) {
	switch {
	case !l.has(at, name):
	case !listenerName.MatchString(name):
		l.refuse(at, "%q is no name: write lower-case letters, digits and -, 32 at most", name)
	case seen[name]:
		l.refuse(at, "a second listener %q", name)
	}
	seen[name] = true
}

// checkAddress wants a literal address: what a name resolves to may change
// between this check and the listening.
func (l *loader) checkAddress(at path, address string, seen map[netip.AddrPort]bool) {
	if !l.has(at, address) {
		return
	}
	parsed, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		l.refuse(at, "%q is not an address: write IP:PORT, such as 127.0.0.1:9000", address)
	case seen[parsed] && parsed.Port() != 0:
		l.refuse(at, "a second listener on %s", address)
	}
	seen[parsed] = true
}

// checkExposure keeps plaintext on this machine: whoever can reach the address
// may ask.
func (l *loader) checkExposure(at path, address string) {
	parsed, err := netip.ParseAddrPort(address)
	if err == nil && l.config.TLS.Mode == plaintext && !parsed.Addr().IsLoopback() {
		l.refuse(at, "%s is not a loopback address, and tls.mode plaintext is served on no other", address)
	}
}

func (l *loader) checkTokenFailure(at path, listener *listenerConfig) {
	if !l.doc.Has(at...) {
		listener.TokenFailure = http.StatusForbidden
	}
	if s := listener.TokenFailure; s != http.StatusForbidden && s != http.StatusUnauthorized {
		l.refuse(at, "%d is no answer to a bad token: write 401 or 403", s)
	}
}
