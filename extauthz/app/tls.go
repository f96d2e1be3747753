package app

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/xfcc"
	"github.com/meshpass/meshpass/shared/identity"
)

// tlsConfig says how Envoys reach the listeners, and which of them may ask.
type tlsConfig struct {
	Mode    string   `yaml:"mode"`
	Clients []string `yaml:"clients"`
}

const (
	plaintext = "plaintext" // loopback only: whoever is on this machine may ask
	mesh      = "mesh"      // a sidecar in front of us, STRICT, ends mTLS and names its peer
)

// admission gives the check of who sends a Check.
func (l *loader) admission(domains identity.TrustDomains) func(context.Context) error {
	at, c := path{"tls"}, l.config.TLS
	if l.has(at.with("mode"), c.Mode) {
		l.isOneOf(at.with("mode"), c.Mode, plaintext, mesh)
	}
	if c.Mode == plaintext {
		if l.doc.Has(at.with("clients")...) {
			l.refuse(at.with("clients"), "mode plaintext knows no client's name: remove it, or use mode mesh")
		}
		return func(context.Context) error { return nil }
	}
	if c.Mode == mesh {
		l.hasEntries(at.with("clients"), len(c.Clients))
	}
	return meshClients{patterns: l.patterns(at.with("clients"), c.Clients, domains), domains: domains}.admit
}

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

// meshClients are the workloads that may ask, known by the sidecar in front of
// us. Its word stands in the metadata of the Check's own call, never in the
// CheckRequest, where the header of that name is the asked-about request's.
type meshClients struct {
	patterns []identity.Pattern
	domains  identity.TrustDomains
}

var errClient = errors.New("the client may not ask")

func (m meshClients) admit(ctx context.Context) error {
	calls, _ := metadata.FromIncomingContext(ctx)
	// Envoy keeps this header as one; two are not of its making.
	values := calls.Get(xfcc.Header)
	if len(values) != 1 {
		return fmt.Errorf("%w: %d values of %s, want 1: is a STRICT sidecar in front?", errClient, len(values), xfcc.Header)
	}
	id, err := xfcc.Caller(values[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	client, err := m.domains.Workload(id)
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	for _, pattern := range m.patterns {
		if pattern.Match(client) {
			return nil
		}
	}
	return fmt.Errorf("%w: %s is not among tls.clients", errClient, client)
}
