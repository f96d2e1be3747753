// Package peers says who calls and who is called. A Check alone does not: which
// of its fields is true depends on the kind of Envoy that sent it, so each
// listener states where the two names come from, and nothing else is looked at.
//
//	asks                        who calls                   who is called
//	a sidecar                   the peer's certificate      its own certificate
//	a waypoint                  the last element of XFCC    the Service at the address that was called
//	a gateway fed from outside  nobody can say              the gateway, by the configuration
//
// XFCC (x-forwarded-client-cert) is a request header that any client can send.
// Only an Envoy that overwrites or appends it makes it true, so whoever reads it
// must first know who asks.
package peers

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/meshpass/meshpass/extauthz/internal/xfcc"
	"github.com/meshpass/meshpass/shared/identity"
)

// Seen is what a Check says of the two sides, as it says it.
type Seen struct {
	Source, Destination string // names of the TLS peers; empty: no TLS, or a waypoint
	Address             string // that was called
	Port                uint32
	XFCC                []string // of the request that is asked about
}

// Name finds one side; empty: not known. An error says that a name is there and
// cannot be one, or is missing where there must be one.
type Name func(Seen) (identity.Workload, error)

// Peers is how one listener knows both sides. The zero value is not usable.
type Peers struct {
	Caller   Name
	NoCaller bool // no caller can have an identity; then Caller is nil
	Callee   Name
}

// Stated reports whether both sides are settled.
func (p Peers) Stated() bool { return (p.Caller == nil) == p.NoCaller && p.Callee != nil }

// CallerByPrincipal is the peer's certificate, as a sidecar saw it.
func CallerByPrincipal(domains identity.TrustDomains) Name {
	return func(s Seen) (identity.Workload, error) { return domains.ParseWorkload(s.Source) }
}

// CalleeByPrincipal is the asking sidecar's own certificate.
func CalleeByPrincipal(domains identity.TrustDomains) Name {
	return func(s Seen) (identity.Workload, error) { return domains.ParseWorkload(s.Destination) }
}

// ErrXFCC says that XFCC is not there exactly once. Envoy keeps it as one header,
// and a waypoint that may be asked for always writes it.
var ErrXFCC = errors.New("want one " + xfcc.Header)

// CallerByXFCC is the last element of XFCC. It must come from an Envoy that is
// known to write that element itself.
func CallerByXFCC(domains identity.TrustDomains) Name {
	return func(s Seen) (identity.Workload, error) {
		if len(s.XFCC) != 1 {
			return "", fmt.Errorf("%w, got %d", ErrXFCC, len(s.XFCC))
		}
		id, err := xfcc.Caller(s.XFCC[0])
		if err != nil {
			return "", err
		}
		return domains.ParseWorkload(id)
	}
}

// CalleeByAddress is the Service at the address that was called, never by the
// host, which the client chooses.
func CalleeByAddress(find func(netip.AddrPort) identity.Workload) Name {
	return func(s Seen) (identity.Workload, error) {
		address, err := netip.ParseAddr(s.Address)
		if err != nil || s.Port == 0 || s.Port > 65535 {
			return "", nil
		}
		return find(netip.AddrPortFrom(address.Unmap(), uint16(s.Port))), nil
	}
}

// CalleeNamed is the same for every Check.
func CalleeNamed(callee identity.Workload) Name {
	return func(Seen) (identity.Workload, error) { return callee, nil }
}
