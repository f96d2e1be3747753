package incluster

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// pod has the fields of a Pod that are read.
type pod struct {
	Metadata struct {
		Name              string
		Namespace         string
		Labels            map[string]string
		Annotations       map[string]string
		DeletionTimestamp string
		OwnerReferences   []struct{ Kind, Name string }
	}
	Spec struct {
		Containers     []container
		InitContainers []container
		Volumes        []volume
	}
	Status struct {
		Phase             string
		ContainerStatuses []struct {
			Name  string
			State struct {
				Waiting *struct{ Reason string }
			}
		}
	}
}

type container struct {
	Name  string
	Env   []struct{ Name, Value string }
	Ports []struct {
		Name          string
		ContainerPort int
	}
	ReadinessProbe *probe
	LivenessProbe  *probe
	VolumeMounts   []struct{ Name, MountPath string }
}

type probe struct {
	HTTPGet *httpGet
}

type httpGet struct {
	Path string
	Port any // a number or the name of a port
}

type volume struct {
	Name      string
	ConfigMap *struct{ Name string }
	Secret    *struct{}
	Projected *struct {
		Sources []struct {
			ConfigMap *struct{ Name string }
		}
	}
}

func (p pod) name() string { return p.Metadata.Namespace + "/" + p.Metadata.Name }

// problem is why the pod does not run; empty: it runs.
func (p pod) problem() string {
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil {
			return c.Name + ": " + w.Reason
		}
	}
	if p.Status.Phase != "Running" {
		return p.Status.Phase
	}
	return ""
}

// workload names what made the pod; pods of one workload are alike.
func (p pod) workload() string {
	for _, owner := range p.Metadata.OwnerReferences {
		return p.Metadata.Namespace + "/" + owner.Kind + "/" + owner.Name
	}
	return p.Metadata.Namespace + "/Pod/" + p.Metadata.Name
}

func (p pod) containers() []container {
	return append(slices.Clone(p.Spec.Containers), p.Spec.InitContainers...)
}

func (p pod) findContainer(name string) (container, bool) {
	all := p.containers()
	at := slices.IndexFunc(all, func(c container) bool { return c.Name == name })
	if at < 0 {
		return container{}, false
	}
	return all[at], true
}

func (c container) env(name string) string {
	for _, e := range c.Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// port is a port by its name; 0: no such port.
func (c container) port(name string) int {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort
		}
	}
	return 0
}

// probeOf is the probe as it was written. Istio's injection replaces it by one of its agent, which has the original in a
// variable.
func (p pod) probeOf(c container, given *probe, suffix string) (path string, port int) {
	if given == nil || given.HTTPGet == nil {
		return "", 0
	}
	get := *given.HTTPGet
	if strings.HasPrefix(get.Path, "/app-health/") {
		proxy, _ := p.findContainer("istio-proxy")
		var originals map[string]struct{ HTTPGet *httpGet }
		if json.Unmarshal([]byte(proxy.env("ISTIO_KUBE_APP_PROBERS")), &originals) != nil {
			return "", 0
		}
		original := originals["/app-health/"+c.Name+"/"+suffix].HTTPGet
		if original == nil {
			return "", 0
		}
		get = *original
	}
	switch value := get.Port.(type) {
	case float64:
		return get.Path, int(value)
	case string:
		return get.Path, c.port(value)
	default:
		return get.Path, 0
	}
}

// configMapsAt are the ConfigMaps that are mounted as the folder of a file; found is false if the file cannot be in one.
func (p pod) configMapsAt(c container, file string) (names []string) {
	best := ""
	mounted := ""
	for _, m := range c.VolumeMounts {
		if dir := strings.TrimSuffix(m.MountPath, "/") + "/"; strings.HasPrefix(file, dir) && len(dir) > len(best) {
			best, mounted = dir, m.Name
		}
	}
	found := map[string]bool{}
	for _, v := range p.Spec.Volumes {
		if v.Name != mounted {
			continue
		}
		if v.ConfigMap != nil {
			found[v.ConfigMap.Name] = true
		}
		if v.Projected != nil {
			for _, source := range v.Projected.Sources {
				if source.ConfigMap != nil {
					found[source.ConfigMap.Name] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
