package app

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/services"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// listenerConfig is an address for Checks, with the sources of caller and callee of the
// requests that they ask about.
type listenerConfig struct {
	Name         string   `yaml:"name"`
	GRPC         string   `yaml:"grpc" env:"expand"`
	Caller       string   `yaml:"caller"`
	Callee       string   `yaml:"callee"`
	Services     string   `yaml:"services" env:"expand"`
	Clients      []string `yaml:"clients"`
	TokenFailure int      `yaml:"tokenFailure"`
}

// Where a listener finds caller and callee; see decide.Peers.
const (
	byPrincipal = "principal"
	byXFCC      = "xfcc"
	byNobody    = "none"
	byService   = "service"
	gatewayName = "gateway/"
)

func (c *listenerConfig) setDefaults(file *strictyaml.Checker, at strictyaml.Path) {
	if !file.Has(at.With("tokenFailure")) {
		c.TokenFailure = http.StatusForbidden
	}
}

// checkListeners checks the listeners and the address of probes and metrics: all of them
// listen, so that no two may share an address.
func checkListeners(file *strictyaml.Checker, all config) {
	file.RequireEntries(strictyaml.Path{"listeners"}, len(all.Listeners))
	names, addresses := map[string]bool{}, map[netip.AddrPort]bool{}
	for i, c := range all.Listeners {
		at := strictyaml.Path{"listeners", i}
		requireListenerName(file, at.With("name"), c.Name, names)
		requireOwnAddress(file, at.With("grpc"), c.GRPC, addresses)
		requireLoopback(file, at.With("grpc"), c.GRPC, all.TLS)
		c.checkSources(file, at)
		c.checkClients(file, at, all.TLS, all.Insecure)
		if s := c.TokenFailure; s != http.StatusForbidden && s != http.StatusUnauthorized {
			file.Reject(at.With("tokenFailure"), "want 401 or 403, not %d", s)
		}
	}
	for _, other := range []struct{ key, address string }{{key: "ops", address: all.Ops}, {key: "debug", address: all.Debug}} {
		if at := (strictyaml.Path{other.key}); file.Has(at) {
			requireOwnAddress(file, at, other.address, addresses)
		}
	}
}

var listenerName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func requireListenerName(file *strictyaml.Checker, at strictyaml.Path, name string, seen map[string]bool) {
	switch {
	case !file.RequireText(at, name):
	case !listenerName.MatchString(name):
		file.Reject(at, "want lower-case letters, digits and -, at most 32, not %q", name)
	case seen[name]:
		file.Reject(at, "a second listener %q", name)
	}
	seen[name] = true
}

func requireOwnAddress(file *strictyaml.Checker, at strictyaml.Path, text string, seen map[netip.AddrPort]bool) {
	address, ok := file.RequireAddress(at, text)
	if !ok || address.Port() == 0 {
		return
	}
	address = netip.AddrPortFrom(address.Addr().Unmap(), address.Port())
	for other := range seen {
		switch {
		case other == address:
			file.Reject(at, "a second listener on %s", text)
			return
		case other.Port() == address.Port() && (other.Addr().IsUnspecified() || address.Addr().IsUnspecified()):
			file.Reject(at, "%s and %s are one port of this machine: choose another port", text, other)
			return
		}
	}
	seen[address] = true
}

// requireLoopback keeps plaintext on this machine: anyone who can reach the address may ask.
func requireLoopback(file *strictyaml.Checker, at strictyaml.Path, text string, tls tlsConfig) {
	address, err := netip.ParseAddrPort(text)
	if err == nil && tls.Mode == plaintext && !address.Addr().IsLoopback() {
		file.Reject(at, "%s is not a loopback address, and tls.mode plaintext is served on no other", text)
	}
}

func (c listenerConfig) checkSources(file *strictyaml.Checker, at strictyaml.Path) {
	if caller := at.With("caller"); file.RequireText(caller, c.Caller) {
		file.RequireOneOf(caller, c.Caller, byPrincipal, byXFCC, byNobody)
	}
	if callee := at.With("callee"); file.RequireText(callee, c.Callee) && !strings.HasPrefix(c.Callee, gatewayName) {
		file.RequireOneOf(callee, c.Callee, byPrincipal, byService, gatewayName+"NAME")
	} else if _, err := identity.ParseGateway(c.Callee); c.Callee != "" && err != nil {
		file.Reject(callee, "%s", err)
	}
	if table := at.With("services"); c.Callee == byService {
		file.RequireText(table, c.Services)
	} else {
		file.RejectIfPresent(table, "read only with callee: %s: remove it", byService)
	}
}

// checkClients: anyone who may ask where XFCC is trusted can name any caller, so those
// clients are named on the listener itself.
func (c listenerConfig) checkClients(file *strictyaml.Checker, at strictyaml.Path, tls tlsConfig, insecure insecureConfig) {
	clients := at.With("clients")
	if tls.knowsClients() {
		if c.Caller == byXFCC || file.Has(clients) {
			file.RequireEntries(clients, len(c.Clients))
		}
		return
	}
	file.RejectIfPresent(clients, "tls.mode %s knows no client's name: remove it, or use mode %s or %s", tls.Mode, mtls, mesh)
	if c.Caller != byXFCC {
		return
	}
	address, err := netip.ParseAddrPort(c.GRPC)
	switch {
	case !insecure.XFCCFromAnyClient:
		file.Reject(at.With("caller"), "anyone who can ask here could name any caller: use tls.mode %s or %s and name the waypoints under clients, or allow it with insecure.xfccFromAnyClient", mtls, mesh)
	case err == nil && !address.Addr().IsLoopback():
		file.Reject(at.With("grpc"), "%s is not a loopback address, and insecure.xfccFromAnyClient is for no other", c.GRPC)
	}
}

// serviceTables are the files of Services, by the listener that needs one.
type serviceTables map[string]*reload.Value[*services.Table]

// loadServices loads the files of the listeners that find their callees in one.
func loadServices(file *strictyaml.Checker, listeners []listenerConfig, changes *changeLog) serviceTables {
	tables := serviceTables{}
	for i, c := range listeners {
		if c.Callee != byService || c.Services == "" {
			continue
		}
		path := file.ResolvePath(c.Services)
		read := func() (*services.Table, error) { return readServices(path) }
		tables[c.Name] = follow(file, strictyaml.Path{"listeners", i, "services"}, reload.Files(path), read,
			func(table *services.Table, err error) {
				if err != nil {
					changes.logRejected(servicesSource+c.Name, err)
					return
				}
				changes.log.Info("services reloaded", "listener", c.Name, "services", table.Len())
			})
	}
	return tables
}

// maxServicesBytes is more than the Services of a large cluster take.
const maxServicesBytes = 16 << 20

func readServices(path string) (*services.Table, error) {
	data, err := readfile.Read(path, maxServicesBytes)
	if err != nil {
		return nil, err
	}
	table, err := services.Parse(data)
	return table, strictyaml.InFile(path, err)
}

// peers returns how a listener that was checked finds caller and callee. The table is nil unless the
// callee is found by service.
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
