package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/allowedheaders"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// envoyConfig describes the configuration of the Envoys that ask.
type envoyConfig struct {
	AllowedHeaders string `yaml:"allowedHeaders" env:"expand"` // file with the EnvoyFilter; absent: sidecars send all headers
}

// loadAllowedHeaders loads the EnvoyFilter with the headers that sidecars send, if one is configured.
func (p *activePolicies) loadAllowedHeaders(file *strictyaml.Checker, c envoyConfig) {
	at := strictyaml.Path{"envoy", "allowedHeaders"}
	if !file.Has(at[:1]) || !file.RequireText(at, c.AllowedHeaders) {
		return
	}
	path := file.ResolvePath(c.AllowedHeaders)
	p.allowedHeaders = follow(file, at, reload.Files(path), func() ([]string, error) { return p.readAllowedHeaders(path) }, p.allowedHeadersChanged)
}

// readAllowedHeaders rejects a file without a header that an active document reads: a changed document
// would come back to its last good version, which reads that header too.
func (p *activePolicies) readAllowedHeaders(path string) ([]string, error) {
	data, err := readfile.Read(path, allowedheaders.MaxFileBytes)
	if err != nil {
		return nil, err
	}
	sent, err := allowedheaders.Parse(data)
	if err != nil {
		return nil, strictyaml.InFile(path, err)
	}
	active := p.set.Load()
	if active == nil {
		return sent, nil
	}
	missing := slices.DeleteFunc(active.SidecarHeaders(), func(name string) bool { return slices.Contains(sent, name) })
	if len(missing) > 0 {
		return nil, strictyaml.InFile(path, strictyaml.Problems{{
			Message: fmt.Sprintf("active documents read %s: change them before the file, and the EnvoyFilter in the mesh last", strings.Join(missing, ", ")),
		}})
	}
	return sent, nil
}

func (p *activePolicies) allowedHeadersChanged(sent []string, err error) {
	if err != nil {
		p.changes.logRejected(headersSource, err)
		return
	}
	p.changes.log.Info("allowed headers reloaded", "headers", sent)
	p.documents.LoadAgain()
}

// sentHeaders are the headers that sidecars send; nil: all.
func (p *activePolicies) sentHeaders() []string {
	if p.allowedHeaders == nil {
		return nil
	}
	return append([]string{}, p.allowedHeaders.Get()...)
}
