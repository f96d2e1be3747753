// Package kube makes the authorizer's file of Services from those of a cluster,
// or from a list of them. A Service without an address of its own is not called
// through a waypoint by address; it is left out, and that is said.
package kubeservices

import (
	"fmt"

	"github.com/meshpass/meshpass/extauthz/internal/services"
)

// Service is what is read of a Kubernetes Service. The library's own type would
// bring every API of Kubernetes into the authorizer.
type Service struct {
	Metadata struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Type       string   `json:"type"`
		ClusterIP  string   `json:"clusterIP"`
		ClusterIPs []string `json:"clusterIPs"`
		Ports      []struct {
			Port     int    `json:"port"`
			Protocol string `json:"protocol"`
		} `json:"ports"`
	} `json:"spec"`
}

const headless = "None" // as clusterIP

// Skipped is a Service that is left out.
type Skipped struct {
	Service string `json:"service"` // NAMESPACE/NAME
	Why     string `json:"why"`
}

// ConvertServices keeps what a waypoint's Check can name: the addresses within the
// cluster, of both families, and TCP ports.
func ConvertServices(list []Service) (kept []services.Service, skipped []Skipped) {
	for i := range list {
		service, why := convertService(&list[i])
		if why != "" {
			skipped = append(skipped, Skipped{Service: service.String(), Why: why})
			continue
		}
		kept = append(kept, service)
	}
	return kept, skipped
}

func convertService(s *Service) (made services.Service, why string) {
	made = services.Service{Namespace: s.Metadata.Namespace, Name: s.Metadata.Name, Addresses: s.clusterAddresses()}
	for _, port := range s.Spec.Ports {
		if port.Protocol == "TCP" || port.Protocol == "" {
			made.Ports = append(made.Ports, port.Port)
		}
	}
	switch {
	case s.Spec.Type == "ExternalName":
		return made, "an external name has no address"
	case len(made.Addresses) == 0 && s.Spec.ClusterIP == headless:
		return made, "headless: it has no address of its own"
	case len(made.Addresses) == 0:
		return made, "it has no address yet"
	case len(made.Ports) == 0:
		return made, "it has no TCP port"
	}
	return made, ""
}

// clusterAddresses: clusterIPs holds both families of a dual-stack Service, the first
// being clusterIP again; lists made by hand may have only that one.
func (s *Service) clusterAddresses() []string {
	all := s.Spec.ClusterIPs
	if len(all) == 0 {
		all = []string{s.Spec.ClusterIP}
	}
	var found []string
	for _, address := range all {
		if address != "" && address != headless {
			found = append(found, address)
		}
	}
	return found
}

// File is a file of Services and what is not in it.
type File struct {
	Data     []byte
	Services []services.Service
	Skipped  []Skipped
}

// BuildFile refuses a list from which the authorizer could not be served.
func BuildFile(list []Service) (File, error) {
	kept, skipped := ConvertServices(list)
	data, err := services.Render(kept)
	if err != nil {
		return File{Skipped: skipped}, fmt.Errorf("of %d Services %d can be called through a waypoint: %w", len(list), len(kept), err)
	}
	return File{Data: data, Services: kept, Skipped: skipped}, nil
}
