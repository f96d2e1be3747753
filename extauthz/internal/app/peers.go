package app

import (
	"net/netip"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/services"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// Where a listener finds the two sides; see decide.Peers.
const (
	byPrincipal = "principal"
	byXFCC      = "xfcc"
	byNobody    = "none"
	byService   = "service"
	gatewayName = "gateway/"
)

func (l *loader) checkPeers(at strictyaml.Path, c listenerConfig) {
	if caller := at.With("caller"); l.check.RequireText(caller, c.Caller) {
		l.check.RequireOneOf(caller, c.Caller, byPrincipal, byXFCC, byNobody)
	}
	if callee := at.With("callee"); l.check.RequireText(callee, c.Callee) && !strings.HasPrefix(c.Callee, gatewayName) {
		l.check.RequireOneOf(callee, c.Callee, byPrincipal, byService, gatewayName+"NAME")
	} else if _, err := identity.ParseGateway(c.Callee); c.Callee != "" && err != nil {
		l.check.Reject(callee, "%s", err)
	}
	file := at.With("services")
	if c.Callee == byService {
		l.check.RequireText(file, c.Services)
	} else if l.check.Has(file) {
		l.check.Reject(file, "read only with callee: %s: remove it", byService)
	}
}

// maxServicesBytes is more than the Services of a large cluster take.
const maxServicesBytes = 16 << 20

// services loads the file of a listener that finds its callee in one.
func (l *loader) services(at strictyaml.Path, file string) *services.Table {
	data, err := readfile.Read(file, maxServicesBytes)
	if err != nil {
		l.check.Reject(at, "%s", err)
		return nil
	}
	table, err := services.Parse(data)
	l.check.RejectFile(at, file, err)
	return table
}

// peers of a listener that was checked; table is nil unless it needs one.
func (c listenerConfig) peers(domains identity.TrustDomains, table *reload.Value[*services.Table]) decide.Peers {
	var p decide.Peers
	switch c.Caller {
	case byPrincipal:
		p.Caller = decide.CallerByPrincipal(domains)
	case byXFCC:
		p.Caller = decide.CallerByXFCC(domains)
	case byNobody:
		p.NoCaller = true
	}
	switch c.Callee {
	case byPrincipal:
		p.Callee = decide.CalleeByPrincipal(domains)
	case byService:
		p.Callee = decide.CalleeByAddress(func(at netip.AddrPort) identity.Workload { return table.Get().Find(at) })
	default:
		p.Callee = decide.CalleeNamed(identity.Workload(c.Callee))
	}
	return p
}
