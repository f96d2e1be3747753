package kind

import (
	"context"
	"errors"
	"os"
)

// west is the second cluster's Tyk.
var west = gateway{
	name: "tyk-gateway-west", namespace: "edge-west", home: "west",
	plugin: "e2e/kind/topologies/two-clusters/west/plugin.yaml", jwks: "jwks-west.json",
}

// westIdentity is a name that no workload of this cluster can have.
const westIdentity = "spiffe://west.example/ns/edge/sa/tyk-gateway"

// secondCluster makes the objects that a second cluster would have: a namespace, a gateway's secrets and keys, and
// a workload certificate of another trust domain and the same root.
func (e *Environment) secondCluster(ctx context.Context) error {
	if err := e.applyCreated(ctx, "create", "namespace", west.namespace); err != nil {
		return err
	}
	if err := os.MkdirAll(e.runFile(west.home), 0o755); err != nil {
		return err
	}
	if err := e.createGatewaySecrets(ctx, west); err != nil {
		return err
	}
	ca, err := e.meshAuthority(ctx)
	if err != nil {
		return err
	}
	pair, err := e.issueCertificate(ctx, westIdentity)
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(e.runFile(west.home, "cert-chain.pem"), pair.Cert, 0o644),
		os.WriteFile(e.runFile(west.home, "key.pem"), pair.Key, 0o600),
		os.WriteFile(e.runFile(west.home, "root-cert.pem"), ca.RootPEM(), 0o644))
	if err != nil {
		return err
	}
	create := []string{"create", "secret", "generic", "west", "-n", west.namespace}
	for _, name := range []string{"cert-chain.pem", "key.pem", "root-cert.pem"} {
		create = append(create, "--from-file="+e.runFile(west.home, name))
	}
	return e.applyCreated(ctx, create...)
}
