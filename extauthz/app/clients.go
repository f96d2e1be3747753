package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/transport"
	"github.com/meshpass/meshpass/extauthz/xfcc"
	"github.com/meshpass/meshpass/shared/identity"
)

// clients are the workloads that may ask on one listener.
type clients struct {
	id      func(context.Context) (string, error) // of whoever sent a Check
	domains identity.TrustDomains
	tls     []identity.Pattern // tls.clients
	own     []identity.Pattern // the listener's; nil: all of tls.clients
}

// checkListenerClients: whoever may ask where XFCC is believed can call in any
// name, so those clients are named on the listener itself.
func (l *loader) checkListenerClients(at path, c listenerConfig) {
	clients := at.with("clients")
	if l.config.TLS.knowsClients() {
		if c.Caller == byXFCC || l.doc.Has(clients...) {
			l.hasEntries(clients, len(c.Clients))
		}
		return
	}
	if l.doc.Has(clients...) {
		l.refuse(clients, "tls.mode %s knows no client's name: remove it, or use mode %s or %s", l.config.TLS.Mode, mtls, mesh)
	}
	if c.Caller != byXFCC {
		return
	}
	address, err := netip.ParseAddrPort(c.GRPC)
	switch {
	case !l.config.Insecure.XFCCFromAnyClient:
		l.refuse(at.with("caller"), "whoever can ask here could call in any name: use tls.mode %s or %s and name the waypoints under clients, or admit it with insecure.xfccFromAnyClient", mtls, mesh)
	case err == nil && !address.Addr().IsLoopback():
		l.refuse(at.with("grpc"), "%s is not a loopback address, and insecure.xfccFromAnyClient is for no other", c.GRPC)
	}
}

// admission gives, for each listener, the check of who sends a Check.
func (l *loader) admission(domains identity.TrustDomains) []func(context.Context) error {
	id := meshPeer
	if l.config.TLS.Mode == mtls {
		id = transport.Client
	}
	all := l.patterns(path{"tls", "clients"}, l.config.TLS.Clients, domains)
	var admits []func(context.Context) error
	for i, listener := range l.config.Listeners {
		own := l.patterns(path{"listeners", i, "clients"}, listener.Clients, domains)
		admit := clients{id: id, domains: domains, tls: all, own: own}.admit
		if !l.config.TLS.knowsClients() {
			admit = anyClient
		}
		admits = append(admits, admit)
	}
	return admits
}

func anyClient(context.Context) error { return nil }

func (l *loader) patterns(at path, texts []string, domains identity.TrustDomains) []identity.Pattern {
	var patterns []identity.Pattern
	for i, text := range texts {
		pattern, err := domains.ParsePattern(text)
		if err != nil {
			l.refuse(at.with(i), "%s", err)
		}
		patterns = append(patterns, pattern)
	}
	return patterns
}

var errClient = errors.New("the client may not ask")

func (c clients) admit(ctx context.Context) error {
	id, err := c.id(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	client, err := c.domains.Workload(id)
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
	values := calls.Get(xfcc.Header)
	if len(values) != 1 {
		return "", fmt.Errorf("%d values of %s, want 1: is a STRICT sidecar in front?", len(values), xfcc.Header)
	}
	return xfcc.Caller(values[0])
}
