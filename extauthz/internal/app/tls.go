package app

import (
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/transport"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// tlsConfig configures how Envoys reach the listeners, and which of them may ask.
type tlsConfig struct {
	Mode         string   `yaml:"mode"`
	CertFile     string   `yaml:"certFile" env:"expand"`
	KeyFile      string   `yaml:"keyFile" env:"expand"`
	ClientCAFile string   `yaml:"clientCAFile" env:"expand"`
	Clients      []string `yaml:"clients"`
}

const (
	mtls      = "mtls"      // the authorizer ends TLS, and knows clients by their certificates
	server    = "server"    // the authorizer ends TLS; anyone who can reach it may ask
	mesh      = "mesh"      // a STRICT sidecar in front of it ends mTLS and names its peer
	plaintext = "plaintext" // loopback only: anyone on this machine may ask
)

// endsTLS reports whether the authorizer itself ends TLS, and needs files for it.
func (c tlsConfig) endsTLS() bool { return c.Mode == mtls || c.Mode == server }

// knowsClients reports whether a client has a name in this mode.
func (c tlsConfig) knowsClients() bool { return c.Mode == mtls || c.Mode == mesh }

func (c tlsConfig) check(file *strictyaml.Checker) {
	at := strictyaml.Path{"tls"}
	if !file.RequireText(at.With("mode"), c.Mode) {
		return
	}
	file.RequireOneOf(at.With("mode"), c.Mode, mtls, server, mesh, plaintext)
	c.checkFile(file, at.With("certFile"), c.CertFile, c.endsTLS())
	c.checkFile(file, at.With("keyFile"), c.KeyFile, c.endsTLS())
	c.checkFile(file, at.With("clientCAFile"), c.ClientCAFile, c.Mode == mtls)
	if clients := at.With("clients"); c.knowsClients() {
		file.RequireEntries(clients, len(c.Clients))
	} else {
		file.RejectIfPresent(clients, "mode %s knows no client's name: remove it, or use mode %s or %s", c.Mode, mtls, mesh)
	}
}

func (c tlsConfig) checkFile(file *strictyaml.Checker, at strictyaml.Path, name string, needed bool) {
	if needed {
		file.RequireText(at, name)
	} else {
		file.RejectIfPresent(at, "mode %s reads no such file: remove it", c.Mode)
	}
}

// pemFiles are the files that the mode reads. Complete is false if it reads no files, or if one is
// missing.
func (c tlsConfig) pemFiles(resolve func(string) string) (files transport.Files, complete bool) {
	if !c.endsTLS() || c.CertFile == "" || c.KeyFile == "" || c.Mode == mtls && c.ClientCAFile == "" {
		return files, false
	}
	files = transport.Files{Cert: resolve(c.CertFile), Key: resolve(c.KeyFile)}
	if c.Mode == mtls {
		files.ClientCA = resolve(c.ClientCAFile)
	}
	return files, true
}

// loadCertificates loads the files of TLS. It is nil where the authorizer ends no TLS.
func loadCertificates(file *strictyaml.Checker, c tlsConfig, now func() time.Time, changes *changeLog) *reload.Value[*transport.Material] {
	files, complete := c.pemFiles(file.ResolvePath)
	if !complete {
		return nil
	}
	read := func() (*transport.Material, error) { return files.Read(now()) }
	return follow(file, strictyaml.Path{"tls"}, reload.Files(files.Paths()...), read, func(material *transport.Material, err error) {
		if err != nil {
			changes.logRejected(tlsSource, err)
			return
		}
		changes.log.Info("certificates reloaded", "not_after", material.NotAfter().UTC())
	})
}
