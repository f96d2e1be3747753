package app

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
)

// listenerConfig says where Checks arrive, and what may be believed of those
// that arrive there.
type listenerConfig struct {
	Name         string `yaml:"name"`
	GRPC         string `yaml:"grpc"`
	Caller       string `yaml:"caller"`
	Callee       string `yaml:"callee"`
	TokenFailure int    `yaml:"tokenFailure"`
}

type tlsConfig struct {
	Mode string `yaml:"mode"`
}

const (
	fromPrincipal = "principal" // the peer names in Envoy's Check, as a sidecar fills them
	plaintext     = "plaintext"
)

var listenerName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (l *loader) checkListeners() {
	l.hasEntries(path{"listeners"}, len(l.config.Listeners))
	if l.has(path{"tls", "mode"}, l.config.TLS.Mode) && l.config.TLS.Mode != plaintext {
		l.refuse(path{"tls", "mode"}, "%q is not supported: write %s, and listen on loopback addresses only", l.config.TLS.Mode, plaintext)
	}
	names, addresses := map[string]bool{}, map[netip.AddrPort]bool{}
	for i := range l.config.Listeners {
		listener, at := &l.config.Listeners[i], path{"listeners", i}
		l.checkListenerName(at.with("name"), listener.Name, names)
		l.checkAddress(at.with("grpc"), listener.GRPC, addresses)
		l.checkPeers(at, *listener)
		l.checkTokenFailure(at.with("tokenFailure"), listener)
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
	case l.config.TLS.Mode == plaintext && !parsed.Addr().IsLoopback():
		l.refuse(at, "%s is not a loopback address, and tls.mode plaintext is served on no other", address)
	case seen[parsed] && parsed.Port() != 0:
		l.refuse(at, "a second listener on %s", address)
	}
	seen[parsed] = true
}

func (l *loader) checkPeers(at path, listener listenerConfig) {
	if caller := at.with("caller"); l.has(caller, listener.Caller) {
		l.isOneOf(caller, listener.Caller, fromPrincipal)
	}
	if callee := at.with("callee"); l.has(callee, listener.Callee) {
		l.isOneOf(callee, listener.Callee, fromPrincipal)
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

// bind opens every listener or none, so that a port which is taken never leaves
// half an authorizer behind.
func bind(configs []listenerConfig) ([]net.Listener, error) {
	var bound []net.Listener
	var failures []error
	for _, c := range configs {
		listener, err := net.Listen("tcp", c.GRPC)
		if err != nil {
			failures = append(failures, fmt.Errorf("listener %q: cannot listen on %s: %w", c.Name, c.GRPC, cause(err)))
			continue
		}
		bound = append(bound, listener)
	}
	if len(failures) == 0 {
		return bound, nil
	}
	for _, listener := range bound {
		failures = append(failures, listener.Close())
	}
	return nil, errors.Join(failures...)
}

// cause strips the address, which the message has already.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
