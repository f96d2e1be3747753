// Package services finds the Service of an address. A waypoint's Check names the callee
// only by its address. The table comes from a file that `meshpass services` writes:
//
//	services:
//	  - {namespace: shop, name: orders, addresses: [10.96.12.7], ports: [8080]}
//
// An address and port belong to one Service. A file with two Services that have the same
// one is rejected, because one would get the policies of the other.
package services

import (
	"errors"
	"net/netip"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// File is the form of the file, in YAML or JSON.
type File struct {
	Services []Service `yaml:"services"`
}

// Service is one Service with its TCP ports.
type Service struct {
	Namespace string   `yaml:"namespace"`
	Name      string   `yaml:"name"`
	Addresses []string `yaml:"addresses"` // IPv4 or IPv6, without ports
	Ports     []int    `yaml:"ports"`
}

func (s Service) String() string { return s.Namespace + "/" + s.Name }

// Table finds Services. It never changes; the zero value is empty.
type Table struct {
	names    map[netip.AddrPort]identity.Workload
	services int
}

// Find returns "service/NAMESPACE/NAME"; empty: no Service has this address and port.
func (t *Table) Find(address netip.AddrPort) identity.Workload { return t.names[address] }

// Len is the number of Services.
func (t *Table) Len() int { return t.services }

var errNoServices = errors.New("no services: every call would be denied")

// Parse reads a file. All problems are returned together, as [strictyaml.Problems] without
// the name of the file.
func Parse(data []byte) (*Table, error) {
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, err
	}
	var file File
	problems := append(doc.Decode(&file), doc.EmptyValues()...)
	if len(problems) == 0 && len(file.Services) == 0 {
		return nil, errNoServices
	}
	p := parser{doc: doc, problems: problems, table: Table{names: map[netip.AddrPort]identity.Workload{}, services: len(file.Services)}}
	names := map[identity.Workload]bool{}
	for i, s := range file.Services {
		if !doc.Unreadable("services", i) {
			p.addService(i, s, names)
		}
	}
	if err := p.problems.Err(); err != nil {
		return nil, err
	}
	return &p.table, nil
}
