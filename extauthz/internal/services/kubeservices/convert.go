// Package kubeservices makes the authorizer's file of Services from the Services of a
// cluster, or from a list of them. A Service without a cluster IP is not called by address
// through a waypoint: it is left out and reported.
package kubeservices

import (
	"fmt"

	"github.com/meshpass/meshpass/extauthz/internal/services"
)

// Service contains the fields of a Kubernetes Service that are read. The type of the
// library would link every API of Kubernetes into the authorizer.
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

// ConvertServices keeps what a waypoint's Check can name: cluster IPs of both families, and
// TCP ports.
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

// clusterAddresses returns the cluster IPs. In clusterIPs are both families of a dual-stack
// Service; the first one is clusterIP. A list that was written by hand may have only
// clusterIP.
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

// File is a file of Services, with the Services that it does not contain.
type File struct {
	Data     []byte
	Services []services.Service
	Skipped  []Skipped
}

// BuildFile makes the file. It rejects a list without a Service that the file can contain.
func BuildFile(list []Service) (File, error) {
	kept, skipped := ConvertServices(list)
	data, err := services.Render(kept)
	if err != nil {
		return File{Skipped: skipped}, fmt.Errorf("of %d Services %d can be called through a waypoint: %w", len(list), len(kept), err)
	}
	return File{Data: data, Services: kept, Skipped: skipped}, nil
}
