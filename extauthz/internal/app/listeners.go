package app

import (
	"net/http"
	"net/netip"
	"regexp"

	"github.com/meshpass/meshpass/internal/strictyaml"
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
	l.check.RequireEntries(strictyaml.Path{"listeners"}, len(l.config.Listeners))
	names, addresses := map[string]bool{}, map[netip.AddrPort]bool{}
	for i := range l.config.Listeners {
		listener, at := &l.config.Listeners[i], strictyaml.Path{"listeners", i}
		l.checkListenerName(at.With("name"), listener.Name, names)
		l.checkAddress(at.With("grpc"), listener.GRPC, addresses)
		l.checkExposure(at.With("grpc"), listener.GRPC)
		l.checkPeers(at, *listener)
		l.checkListenerClients(at, *listener)
		l.checkTokenFailure(at.With("tokenFailure"), listener)
	}
	if l.check.Has(strictyaml.Path{"ops"}) {
		l.checkAddress(strictyaml.Path{"ops"}, l.config.Ops, addresses)
	}
}

func (l *loader) checkListenerName(at strictyaml.Path, name string, seen map[string]bool) {
	switch {
	case !l.check.RequireText(at, name):
	case !listenerName.MatchString(name):
		l.check.Reject(at, "want lower-case letters, digits and -, at most 32, not %q", name)
	case seen[name]:
		l.check.Reject(at, "a second listener %q", name)
	}
	seen[name] = true
}

// checkAddress wants a literal address: what a name resolves to may change
// between this check and the listening.
func (l *loader) checkAddress(at strictyaml.Path, address string, seen map[netip.AddrPort]bool) {
	parsed, ok := l.check.RequireAddress(at, address)
	if ok && seen[parsed] && parsed.Port() != 0 {
		l.check.Reject(at, "a second listener on %s", address)
	}
	seen[parsed] = true
}

// checkExposure keeps plaintext on this machine: whoever can reach the address
// may ask.
func (l *loader) checkExposure(at strictyaml.Path, address string) {
	parsed, err := netip.ParseAddrPort(address)
	if err == nil && l.config.TLS.Mode == plaintext && !parsed.Addr().IsLoopback() {
		l.check.Reject(at, "%s is not a loopback address, and tls.mode plaintext is served on no other", address)
	}
}

func (l *loader) checkTokenFailure(at strictyaml.Path, listener *listenerConfig) {
	if !l.check.Has(at) {
		listener.TokenFailure = http.StatusForbidden
	}
	if s := listener.TokenFailure; s != http.StatusForbidden && s != http.StatusUnauthorized {
		l.check.Reject(at, "want 401 or 403, not %d", s)
	}
}
