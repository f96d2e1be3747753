package main

import (
	"testing"

	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

const waypoint = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
`

func TestAddressGateways(t *testing.T) {
	service := func(name, namespace string) string {
		return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {clusterIP: 127.77.0.120}\n"
	}
	for name, row := range map[string]struct{ file, want string }{
		"its Service":        {waypoint + service("waypoint", "shop"), "127.77.0.120"},
		"before the Gateway": {service("waypoint", "shop") + "---\n" + waypoint, "127.77.0.120"},
		"another name":       {waypoint + service("orders", "shop"), ""},
		"another namespace":  {waypoint + service("waypoint", "edge"), ""},
		"one of its own":     {waypoint + "status: {addresses: [{type: IPAddress, value: 127.77.0.121}]}\n" + service("waypoint", "shop"), "127.77.0.121"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := parse([]file{{"m.yaml", []byte(meshText)}, {"o.yaml", []byte(row.file)}})
			if err != nil {
				t.Fatal(err)
			}
			if got := addressOf(m); got != row.want {
				t.Errorf("the Gateway has address %q, want %q", got, row.want)
			}
		})
	}
}

func addressOf(m *manifests) string {
	for _, o := range m.objects {
		if g, ok := o.(*gateway.Gateway); ok && len(g.Status.Addresses) > 0 {
			return g.Status.Addresses[0].Value
		}
	}
	return ""
}
