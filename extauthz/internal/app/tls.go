package app

import (
	"net"
	"time"

	"google.golang.org/grpc"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// tlsConfig says how Envoys reach the listeners, and which of them may ask.
type tlsConfig struct {
	Mode         string   `yaml:"mode"`
	CertFile     string   `yaml:"certFile"`
	KeyFile      string   `yaml:"keyFile"`
	ClientCAFile string   `yaml:"clientCAFile"`
	Clients      []string `yaml:"clients"`
}

const (
	mtls      = "mtls"      // we end TLS, and know clients by their certificates
	server    = "server"    // we end TLS; whoever can reach us may ask
	mesh      = "mesh"      // a sidecar in front of us, STRICT, ends mTLS and names its peer
	plaintext = "plaintext" // loopback only: whoever is on this machine may ask
)

// endsTLS reports whether we do, and need files for it.
func (c tlsConfig) endsTLS() bool { return c.Mode == mtls || c.Mode == server }

// knowsClients reports whether a client has a name in this mode.
func (c tlsConfig) knowsClients() bool { return c.Mode == mtls || c.Mode == mesh }

func (l *loader) checkTLS() {
	at, c := strictyaml.Path{"tls"}, l.config.TLS
	if !l.check.RequireText(at.With("mode"), c.Mode) {
		return
	}
	l.check.RequireOneOf(at.With("mode"), c.Mode, mtls, server, mesh, plaintext)
	l.checkTLSFile(at.With("certFile"), c.CertFile, c.endsTLS())
	l.checkTLSFile(at.With("keyFile"), c.KeyFile, c.endsTLS())
	l.checkTLSFile(at.With("clientCAFile"), c.ClientCAFile, c.Mode == mtls)
	switch clients := at.With("clients"); {
	case c.knowsClients():
		l.check.RequireEntries(clients, len(c.Clients))
	case l.check.Has(clients):
		l.check.Reject(clients, "mode %s knows no client's name: remove it, or use mode %s or %s", c.Mode, mtls, mesh)
	}
}

func (l *loader) checkTLSFile(at strictyaml.Path, file string, needed bool) {
	if needed {
		l.check.RequireText(at, file)
	} else if l.check.Has(at) {
		l.check.Reject(at, "mode %s reads no such file: remove it", l.config.TLS.Mode)
	}
}

// tlsFiles are what the mode reads; none of them is named where one is missing.
func (l *loader) tlsFiles() (files transport.Files, named bool) {
	c := l.config.TLS
	if !c.endsTLS() || c.CertFile == "" || c.KeyFile == "" || c.Mode == mtls && c.ClientCAFile == "" {
		return files, false
	}
	files = transport.Files{Cert: l.check.ResolvePath(c.CertFile), Key: l.check.ResolvePath(c.KeyFile)}
	if c.Mode == mtls {
		files.ClientCA = l.check.ResolvePath(c.ClientCAFile)
	}
	return files, true
}

func (l *loader) material(files transport.Files, now func() time.Time) *transport.Material {
	material, err := files.Read(now())
	if err != nil {
		l.check.Reject(strictyaml.Path{"tls"}, "%s", err)
	}
	return material
}

// transport bounds the connections of a listener, and says how its gRPC server is
// reached.
func (a *authorizer) transport(listener net.Listener, name string, admit admission) (*limits.Listener, []grpc.ServerOption) {
	if a.material == nil {
		return a.limiter.Listen(listener, name, limits.HTTP2), nil
	}
	bounded := a.limiter.Listen(listener, name, limits.HTTP2OverTLS)
	failed := func(client net.Addr, err error) {
		a.limiter.Warn("handshake", "TLS handshake failed", "listener", name, "client", client.String(), "error", err)
	}
	tls := transport.Credentials(a.material.Get, admit.handshake, failed)
	return bounded, []grpc.ServerOption{grpc.Creds(bounded.CountingCredentials(tls))}
}
