package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// admission decides who may ask on one listener.
type admission struct {
	check     func(context.Context) error     // of a Check, before its message is read
	handshake func(tls.ConnectionState) error // of a connection
}

// parseAdmissions returns the admission of each listener. With mtls, a peer that may not ask gets
// no connection; its name is checked again at each Check, as in the other modes.
func parseAdmissions(file *strictyaml.Checker, tls tlsConfig, listeners []listenerConfig, domains identity.TrustDomains) []admission {
	all := parseClients(file, strictyaml.Path{"tls", "clients"}, tls.Clients, domains)
	var admissions []admission
	for i, listener := range listeners {
		at := strictyaml.Path{"listeners", i, "clients"}
		own := parseClients(file, at, listener.Clients, domains)
		requireAmong(file, at, own, all)
		c := allowedClients{readID: readMeshPeer, domains: domains, ofTLS: all, ofListener: own}
		switch {
		case tls.Mode == mtls:
			c.readID = transport.ClientIDFromContext
			admissions = append(admissions, admission{check: c.admitCheck, handshake: c.admitConnection})
		case tls.knowsClients():
			admissions = append(admissions, admission{check: c.admitCheck, handshake: admitAnyConnection})
		default:
			admissions = append(admissions, admission{check: admitAnyCheck, handshake: admitAnyConnection})
		}
	}
	return admissions
}

func parseClients(file *strictyaml.Checker, at strictyaml.Path, texts []string, domains identity.TrustDomains) []identity.Pattern {
	var patterns []identity.Pattern
	for i, text := range texts {
		pattern, err := domains.ParsePattern(text)
		if err != nil {
			file.Reject(at.With(i), "%s", err)
		}
		patterns = append(patterns, pattern)
	}
	file.RequireDistinct(at, texts)
	return patterns
}

// requireAmong rejects a client of a listener that tls.clients turns away: a listener can only narrow them.
func requireAmong(file *strictyaml.Checker, at strictyaml.Path, own, all []identity.Pattern) {
	if slices.Contains(all, identity.Pattern{}) { // a mistake that has its message
		return
	}
	for i, pattern := range own {
		if pattern != (identity.Pattern{}) && len(all) > 0 && !slices.ContainsFunc(all, pattern.Overlaps) {
			file.Reject(at.With(i), "%s is not among tls.clients, so it may not ask: add it there, or remove it", pattern)
		}
	}
}

func admitAnyCheck(context.Context) error          { return nil }
func admitAnyConnection(tls.ConnectionState) error { return nil }

// allowedClients are the workloads that may ask on one listener.
type allowedClients struct {
	readID     func(context.Context) (string, error) // of the sender of a Check
	domains    identity.TrustDomains
	ofTLS      []identity.Pattern // tls.clients
	ofListener []identity.Pattern // nil: all of tls.clients
}

var errClient = errors.New("the client may not ask")

func (c allowedClients) admitCheck(ctx context.Context) error {
	id, err := c.readID(ctx)
	return c.admitID(id, err)
}

func (c allowedClients) admitConnection(state tls.ConnectionState) error {
	id, err := transport.ClientIDFromTLS(state)
	return c.admitID(id, err)
}

// admitID takes the id of a client, or the reason why it has no id.
func (c allowedClients) admitID(id string, unnamed error) error {
	if unnamed != nil {
		return fmt.Errorf("%w: %w", errClient, unnamed)
	}
	client, err := c.domains.ParseWorkload(id)
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	matches := func(p identity.Pattern) bool { return p.Match(client) }
	switch {
	case !slices.ContainsFunc(c.ofTLS, matches):
		return fmt.Errorf("%w: %s is not among tls.clients", errClient, client)
	case c.ofListener != nil && !slices.ContainsFunc(c.ofListener, matches):
		return fmt.Errorf("%w: %s is not among the listener's clients", errClient, client)
	}
	return nil
}

// readMeshPeer returns the peer of the sidecar in front of the authorizer. The sidecar writes it
// into the metadata of the Check's own call, never into the CheckRequest, where the header of that
// name belongs to the request that is asked about.
func readMeshPeer(ctx context.Context) (string, error) {
	call, _ := metadata.FromIncomingContext(ctx)
	// Envoy keeps this header as one; two are not made by Envoy.
	values := call.Get(decide.XFCCHeader)
	if len(values) != 1 {
		return "", fmt.Errorf("%d values of %s, want 1: is a STRICT sidecar in front?", len(values), decide.XFCCHeader)
	}
	return decide.LastURIOfXFCC(values[0])
}
