package services

import (
	"net/netip"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

type parser struct {
	doc      *strictyaml.Document
	problems strictyaml.Problems
	table    Table
}

func (p *parser) addProblem(format string, args []any, place ...any) {
	p.problems.Add(p.doc.PositionOf(append([]any{"services"}, place...)...), format, args...)
}

func (p *parser) addService(i int, s Service, seen map[identity.Workload]bool) {
	name, err := identity.ServiceCallee(s.Namespace, s.Name)
	switch {
	case err != nil:
		p.addProblem("%s", []any{err}, i)
	case seen[name]:
		p.addProblem("a second entry for %s", []any{name}, i)
	}
	seen[name] = true
	if len(s.Addresses) == 0 || len(s.Ports) == 0 {
		p.addProblem("%s: give at least one address and one port; leave headless Services out", []any{name}, i)
	}
	addresses := p.parseAddresses(i, s.Addresses)
	for j, port := range s.Ports {
		if port < 1 || port > 65535 {
			p.addProblem("port %d: want 1 to 65535", []any{port}, i, "ports", j)
			continue
		}
		for _, address := range addresses {
			p.claimAddress(name, netip.AddrPortFrom(address, uint16(port)), i, "ports", j)
		}
	}
}

// parseAddresses are compared as plain IPv4 or IPv6: ::ffff:10.0.0.1 is 10.0.0.1.
func (p *parser) parseAddresses(i int, texts []string) []netip.Addr {
	var all []netip.Addr
	for j, text := range texts {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" || address.IsUnspecified() || address.IsMulticast() {
			p.addProblem("%q is not an address of a Service: write IPv4 or IPv6, without a port", []any{text}, i, "addresses", j)
			continue
		}
		all = append(all, address.Unmap())
	}
	return all
}

func (p *parser) claimAddress(name identity.Workload, address netip.AddrPort, place ...any) {
	if other, taken := p.table.names[address]; taken {
		p.addProblem("%s is taken by %s: an address and port belong to one Service", []any{address, other}, place...)
		return
	}
	p.table.names[address] = name
}
