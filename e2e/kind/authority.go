package kind

import (
	"context"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/kind/sender"
)

// clientTLS returns the TLS settings of a client with a certificate of the mesh's authority, for a SPIFFE id or for
// dns:NAME. Istio's control plane keeps the authority's key in a Secret, and would not sign such a certificate.
func (e *Environment) clientTLS(ctx context.Context, name string) (*sender.TLS, error) {
	pair, err := e.issueCertificate(ctx, name)
	return &sender.TLS{Cert: pair.Cert, Key: pair.Key}, err
}

func (e *Environment) issueCertificate(ctx context.Context, name string) (sds.Pair, error) {
	names, err := sds.ParseNames(name)
	if err != nil {
		return sds.Pair{}, err
	}
	ca, err := e.meshAuthority(ctx)
	if err != nil {
		return sds.Pair{}, err
	}
	return ca.Issue(names)
}

func (e *Environment) meshAuthority(ctx context.Context) (*sds.Authority, error) {
	var secret struct{ Data map[string][]byte }
	if err := e.queryObjects(ctx, &secret, "get", "secret", "istio-ca-secret", "-n", "istio-system"); err != nil {
		return nil, err
	}
	return sds.OpenAuthority(secret.Data["ca-cert.pem"], secret.Data["ca-key.pem"])
}
