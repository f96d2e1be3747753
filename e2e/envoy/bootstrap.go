package envoy

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/netip"
	"text/template"
)

const adminPort = 15000

//go:embed bootstrap.json.tmpl
var bootstrapText string

var templates = template.Must(template.New("bootstrap").
	Funcs(template.FuncMap{"json": asJSON, "cluster": newStaticCluster}).
	Parse(bootstrapText))

// staticCluster is a cluster of one fixed address.
type staticCluster struct {
	Name string
	At   netip.AddrPort
}

func newStaticCluster(name string, at netip.AddrPort) staticCluster { return staticCluster{name, at} }

// asJSON quotes a value, so that no name can end its JSON string.
func asJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// NodeJSON returns the JSON with which the workload's Envoy names itself. The control plane
// computes the configuration from it. It holds the identity for the certificate.
func (w Workload) NodeJSON() ([]byte, error) {
	var out bytes.Buffer
	err := templates.ExecuteTemplate(&out, "node", w)
	return out.Bytes(), err
}

type bootstrapInput struct {
	Workload  Workload
	AdminPort int
	XDS, SDS  netip.AddrPort
}

func newBootstrap(w Workload, xds, sds string) ([]byte, error) {
	in := bootstrapInput{Workload: w, AdminPort: adminPort}
	var err error
	if in.XDS, err = netip.ParseAddrPort(xds); err != nil {
		return nil, fmt.Errorf("xDS server: %w", err)
	}
	if in.SDS, err = netip.ParseAddrPort(sds); err != nil {
		return nil, fmt.Errorf("SDS server: %w", err)
	}
	if _, err := netip.ParseAddr(w.Address); err != nil {
		return nil, fmt.Errorf("workload %q: %w", w.Name, err)
	}
	var out bytes.Buffer
	err = templates.Execute(&out, in)
	return out.Bytes(), err
}
