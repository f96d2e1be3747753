package decide

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/meshpass/meshpass/shared/identity"
)

// Peers is how one listener finds the names of caller and callee. A request alone does
// not say which of its fields is true: that depends on the kind of Envoy that asks. So
// each listener states where the two names come from, and no other field is read.
//
//	asks                        caller                      callee
//	a sidecar                   the peer's certificate      its own certificate
//	a waypoint                  the last element of XFCC    the Service at the address that was called
//	a gateway fed from outside  not known                   the gateway, by the configuration
//
// XFCC (x-forwarded-client-cert) is a request header that any client can send. It is
// true only if an Envoy overwrites or appends it. A listener that reads it must
// therefore know its clients.
//
// The zero value is not usable.
type Peers struct {
	Caller   FindPeer
	NoCaller bool // no caller can have an identity; Caller is nil then
	Callee   FindPeer
}

// FindPeer finds the name of one side. The name is empty if it is not known. An invalid
// name, or a required name that is missing, is an error.
type FindPeer func(*Request) (identity.Workload, error)

// areComplete reports whether both sides are configured.
func (p Peers) areComplete() bool { return (p.Caller == nil) == p.NoCaller && p.Callee != nil }

// CallerByPrincipal reads the peer's certificate, as a sidecar saw it.
func CallerByPrincipal(domains identity.TrustDomains) FindPeer {
	return func(r *Request) (identity.Workload, error) { return domains.ParseWorkload(r.Source) }
}

// CalleeByPrincipal reads the own certificate of the sidecar that asks.
func CalleeByPrincipal(domains identity.TrustDomains) FindPeer {
	return func(r *Request) (identity.Workload, error) { return domains.ParseWorkload(r.Destination) }
}

// ErrXFCC is the error for a request without exactly one XFCC header. Envoy keeps it as
// one header, and a waypoint always writes it.
var ErrXFCC = errors.New("want one " + XFCCHeader)

// CallerByXFCC reads the last element of XFCC. Every client of the listener must be an
// Envoy that writes this element itself.
func CallerByXFCC(domains identity.TrustDomains) FindPeer {
	return func(r *Request) (identity.Workload, error) {
		value, count := r.headers().find(XFCCHeader)
		if count != 1 {
			return "", fmt.Errorf("%w, got %d", ErrXFCC, count)
		}
		id, err := LastURIOfXFCC(value)
		if err != nil {
			return "", err
		}
		return domains.ParseWorkload(id)
	}
}

// CalleeByAddress finds the Service at the address that was called. It never uses the
// host, which the client chooses.
func CalleeByAddress(find func(netip.AddrPort) identity.Workload) FindPeer {
	return func(r *Request) (identity.Workload, error) {
		address, err := netip.ParseAddr(r.Address)
		if err != nil || r.Port == 0 || r.Port > 65535 {
			return "", nil
		}
		return find(netip.AddrPortFrom(address.Unmap(), uint16(r.Port))), nil
	}
}

// CalleeNamed gives the same name for every request.
func CalleeNamed(callee identity.Workload) FindPeer {
	return func(*Request) (identity.Workload, error) { return callee, nil }
}
