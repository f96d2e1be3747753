package kind

// gateway is one Tyk.
type gateway struct {
	name      string // in cases
	namespace string
	home      string // folder of its keys, in the run's
	plugin    string // its plugin's configuration, in the repository
	jwks      string // the file of meshpass-jwks with its published keys
}

var east = gateway{name: "tyk-gateway", namespace: "edge", plugin: "manifests/overlays/dev/plugin.yaml", jwks: "jwks.json"}

func (g gateway) url() string {
	return "http://tyk-gateway." + g.namespace + ".svc.cluster.local:8080"
}

func (g gateway) logs() source { return source{g.namespace, "app=tyk-gateway", "tyk-gateway"} }
