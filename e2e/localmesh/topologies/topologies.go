// Package topologies describes meshes that differ from that of the tour, where Tyk is in the mesh with
// a sidecar. Each is a folder:
//
//	NAME/topology.yaml      which parts there are
//	NAME/cluster/*.yaml     objects that Istio would get from the API server; cluster-OTHER/ for another cluster
//	NAME/policies/*.yaml    AccessPolicy documents; policies-OTHER/ for another cluster
//	NAME/config/…           configuration of the programs; that of a gateway in the folder of its home
//
// A file replaces the file of the same name of the tour, or of another topology. The objects that a user
// applies to Istio are not here: topology.yaml names folders of manifests/istio, which are read as
// shipped.
package topologies

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Topology is a topology.yaml. An absent list is that of the tour.
type Topology struct {
	Name        string       `yaml:"-"`           // of the folder; empty: the tour
	Over        string       `yaml:"over"`        // the topology that this one changes; absent: the tour
	Layers      []string     `yaml:"-"`           // folders whose files are used; a later one overwrites an earlier one
	Istio       []string     `yaml:"istio"`       // folders of manifests/istio to apply, in addition to its own files
	Istiod      []string     `yaml:"istiod"`      // environment of the control plane, NAME=VALUE each
	Without     []string     `yaml:"without"`     // files of the tour's cluster to leave out
	Authorizers []Authorizer `yaml:"authorizers"` // absent: meshpass, for all workloads
	Gateways    []Gateway    `yaml:"gateways"`    // Tyk gateways; absent: tyk-gateway
	Clusters    []Cluster    `yaml:"clusters"`    // after the first one; absent: no more
}

// Cluster is a cluster after the first one. Its own objects are in the folder cluster-NAME. Its control
// plane reads the objects of the first cluster too.
type Cluster struct {
	Name        string   `yaml:"name"`
	Host        int      `yaml:"host"`        // of its control plane's address
	TrustDomain string   `yaml:"trustDomain"` // in its workloads' certificates
	Istio       []string `yaml:"istio"`       // folders of manifests/istio that are applied to it
}

// ObjectFolder is the folder of its objects.
func (c Cluster) ObjectFolder() string { return "cluster-" + c.Name }

// PolicyFolder is the folder of its AccessPolicy documents.
func (c Cluster) PolicyFolder() string { return "policies-" + c.Name }

// Authorizer is one process of the authorizer.
type Authorizer struct {
	Name     string `yaml:"name"`
	At       string `yaml:"at"`       // its address; absent: the one in config/meshpass.yaml
	Identity string `yaml:"identity"` // SPIFFE id in NAME.crt and NAME.key, with roots.crt; absent: no certificate
}

// Gateway is one Tyk gateway.
type Gateway struct {
	Name string `yaml:"name"` // of its pod, which has a sidecar if cluster/ has one for it
	Home string `yaml:"home"` // folder below config/ of identity.yaml and tyk.conf; absent: config/ itself
	// Targets are target URLs that its API definitions have instead of the tour's.
	Targets map[string]string `yaml:"targets"`
}

//go:embed */*
var embeddedFiles embed.FS

// ErrUnknown is the error for a name without a topology.
var ErrUnknown = errors.New("no such topology")

// Load reads a topology by the name of its folder. The empty name is the tour.
func Load(name string) (Topology, error) {
	t := Topology{Name: name}
	if name != "" {
		if err := t.readFile(); err != nil {
			return Topology{}, fmt.Errorf("topology %q: %w", name, err)
		}
	}
	if len(t.Authorizers) == 0 {
		t.Authorizers = []Authorizer{{Name: "meshpass"}}
	}
	if len(t.Gateways) == 0 {
		t.Gateways = []Gateway{{Name: "tyk-gateway"}}
	}
	return t, nil
}

func (t *Topology) readFile() error {
	file := path.Join(t.Name, "topology.yaml")
	data, err := embeddedFiles.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: there are %v", ErrUnknown, ListNames())
	}
	if err != nil {
		return err
	}
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := doc.Decode(t).InFile(file).Err(); err != nil {
		return err
	}
	name, below := t.Name, Topology{}
	if t.Over != "" {
		if below, err = Load(t.Over); err != nil {
			return err
		}
	}
	*t = below
	t.Name, t.Layers = name, append(slices.Clone(below.Layers), name)
	return doc.Decode(t).Err()
}

// ListNames lists the topologies.
func ListNames() []string {
	found, _ := fs.Glob(embeddedFiles, "*/topology.yaml") // fails only for a malformed pattern
	for i := range found {
		found[i] = path.Dir(found[i])
	}
	slices.Sort(found)
	return found
}

// Files gives the files of each layer for a folder such as cluster. A later one overwrites an earlier
// one.
func (t Topology) Files(folder ...string) ([]fs.FS, error) {
	var layers []fs.FS
	for _, layer := range t.Layers {
		dir := path.Join(append([]string{layer}, folder...)...)
		if _, err := fs.Stat(embeddedFiles, dir); err != nil {
			continue // nothing differs
		}
		own, err := fs.Sub(embeddedFiles, dir)
		if err != nil {
			return nil, err
		}
		layers = append(layers, own)
	}
	return layers, nil
}
