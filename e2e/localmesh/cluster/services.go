package cluster

import (
	"io/fs"

	"sigs.k8s.io/yaml"
)

type service struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Spec     struct{ ClusterIP string }
}

// LoadServices returns the addresses of the Services by their host names, as a cluster's DNS would, with
// the addresses of a prefix such as "127.80.3.".
func LoadServices(objects fs.FS, prefix string) (map[string]string, error) {
	out := map[string]string{}
	err := readObjects(objects, prefix, func(doc []byte) error {
		var s service
		err := yaml.Unmarshal(doc, &s)
		if s.Kind == "Service" {
			out[s.Metadata.Name+"."+s.Metadata.Namespace+".svc.cluster.local"] = s.Spec.ClusterIP
		}
		return err
	})
	return out, err
}
