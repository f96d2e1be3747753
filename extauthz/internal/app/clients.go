package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// clients are the workloads that may ask on one listener.
type clients struct {
	id      func(context.Context) (string, error) // of the sender of a Check
	domains identity.TrustDomains
	tls     []identity.Pattern // tls.clients
	own     []identity.Pattern // the listener's; nil: all of tls.clients
}

// checkListenerClients: whoever may ask where XFCC is believed can call in any
// name, so those clients are named on the listener itself.
func (l *loader) checkListenerClients(at strictyaml.Path, c listenerConfig) {
	clients := at.With("clients")
	if l.config.TLS.knowsClients() {
		if c.Caller == byXFCC || l.check.Has(clients) {
			l.check.RequireEntries(clients, len(c.Clients))
		}
		return
	}
	if l.check.Has(clients) {
		l.check.Reject(clients, "tls.mode %s knows no client's name: remove it, or use mode %s or %s", l.config.TLS.Mode, mtls, mesh)
	}
	if c.Caller != byXFCC {
		return
	}
	address, err := netip.ParseAddrPort(c.GRPC)
	switch {
	case !l.config.Insecure.XFCCFromAnyClient:
		l.check.Reject(at.With("caller"), "whoever can ask here could call in any name: use tls.mode %s or %s and name the waypoints under clients, or admit it with insecure.xfccFromAnyClient", mtls, mesh)
	case err == nil && !address.Addr().IsLoopback():
		l.check.Reject(at.With("grpc"), "%s is not a loopback address, and insecure.xfccFromAnyClient is for no other", c.GRPC)
	}
}

// admission says who may ask on one listener.
type admission struct {
	check     func(context.Context) error     // of a Check, before its message is read
	handshake func(tls.ConnectionState) error // of a connection
}

// admission gives that of each listener. With mtls, a peer that may not ask gets no
// connection; the name is looked at again with each Check, as in the other modes.
func (l *loader) admission(domains identity.TrustDomains) []admission {
	all := l.patterns(strictyaml.Path{"tls", "clients"}, l.config.TLS.Clients, domains)
	var each []admission
	for i, listener := range l.config.Listeners {
		own := l.patterns(strictyaml.Path{"listeners", i, "clients"}, listener.Clients, domains)
		c := clients{id: meshPeer, domains: domains, tls: all, own: own}
		switch {
		case l.config.TLS.Mode == mtls:
			c.id = transport.Client
			each = append(each, admission{check: c.admit, handshake: c.admitConnection})
		case l.config.TLS.knowsClients():
			each = append(each, admission{check: c.admit, handshake: anyConnection})
		default:
			each = append(each, admission{check: anyClient, handshake: anyConnection})
		}
	}
	return each
}

func anyClient(context.Context) error         { return nil }
func anyConnection(tls.ConnectionState) error { return nil }

func (l *loader) patterns(at strictyaml.Path, texts []string, domains identity.TrustDomains) []identity.Pattern {
	var patterns []identity.Pattern
	for i, text := range texts {
		pattern, err := domains.ParsePattern(text)
		if err != nil {
			l.check.Reject(at.With(i), "%s", err)
		}
		patterns = append(patterns, pattern)
	}
	return patterns
}

var errClient = errors.New("the client may not ask")

func (c clients) admit(ctx context.Context) error {
	id, err := c.id(ctx)
	return c.mayAsk(id, err)
}

func (c clients) admitConnection(state tls.ConnectionState) error {
	id, err := transport.ClientOf(state)
	return c.mayAsk(id, err)
}

// mayAsk takes the id of a client, or why it has none.
func (c clients) mayAsk(id string, unnamed error) error {
	if unnamed != nil {
		return fmt.Errorf("%w: %w", errClient, unnamed)
	}
	client, err := c.domains.ParseWorkload(id)
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	named := func(p identity.Pattern) bool { return p.Match(client) }
	switch {
	case !slices.ContainsFunc(c.tls, named):
		return fmt.Errorf("%w: %s is not among tls.clients", errClient, client)
	case c.own != nil && !slices.ContainsFunc(c.own, named):
		return fmt.Errorf("%w: %s is not among the listener's clients", errClient, client)
	}
	return nil
}

// meshPeer is the peer of the sidecar in front of us. Its word stands in the
// metadata of the Check's own call, never in the CheckRequest, where the header of
// that name is the asked-about request's.
func meshPeer(ctx context.Context) (string, error) {
	calls, _ := metadata.FromIncomingContext(ctx)
	// Envoy keeps this header as one; two are not of its making.
	values := calls.Get(decide.XFCCHeader)
	if len(values) != 1 {
		return "", fmt.Errorf("%d values of %s, want 1: is a STRICT sidecar in front?", len(values), decide.XFCCHeader)
	}
	return decide.LastURIOfXFCC(values[0])
}
