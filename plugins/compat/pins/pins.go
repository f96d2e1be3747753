// Package pins compares the modules that a plugin links with those of a Tyk release.
//
// Go loads a plugin only if every package that it shares with the gateway is the same in both.
// Otherwise the gateway logs "plugin was built with a different version of package", at run time, with
// the name of one internal package. This package compares with the release's own go.mod, before anything
// is built.
package pins

import (
	"fmt"
	"slices"
	"strings"
)

// Tyk is the gateway's module.
const Tyk = "github.com/TykTechnologies/tyk"

const ours = "github.com/meshpass/meshpass"

// Module is how `go list` and `go mod edit` write one.
type Module struct {
	Path, Version string
	Main          bool
	Replace       *Module
}

// String names version and replacement: both must agree.
func (m Module) String() string {
	if m.Replace == nil {
		return m.Version
	}
	return fmt.Sprintf("%s => %s %s", m.Version, m.Replace.Path, m.Replace.Version)
}

// FindDifferences compares what the plugin links with a release's go.mod, which lists every module
// that a gateway can link, indirect ones too (Go 1.17 and later). A module that is not there is
// the plugin's alone and free (the JOSE library is one), unless it is in the gateway as well:
// a gateway that is built together with the plugin can get modules from the plugin's
// requirements, and is then not what was released. For one built from its own go.mod, pass nil.
func FindDifferences(plugin []Module, released map[string]Module, gateway []Module) []string {
	var found []string
	for _, m := range plugin {
		if m.Main || m.Path == Tyk || m.Path == ours || strings.HasPrefix(m.Path, ours+"/") {
			continue
		}
		their, listed := released[m.Path]
		inGateway := slices.ContainsFunc(gateway, func(g Module) bool { return g.Path == m.Path })
		switch {
		case listed && m.String() != their.String():
			found = append(found, fmt.Sprintf("%s: the plugin links %s, Tyk's go.mod says %s", m.Path, m, their))
		case !listed && inGateway:
			found = append(found, fmt.Sprintf("%s: plugin and gateway link %s, Tyk's go.mod does not list it", m.Path, m))
		}
	}
	return found
}
