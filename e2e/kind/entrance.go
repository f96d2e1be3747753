package kind

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
)

// documentationAddress (RFC 5737) is replaced in an overlay by the address of the ingress gateway's Service.
const documentationAddress = "192.0.2.1"

// entrance applies the topology's folders of manifests/istio, and gives their gateway a certificate
// for its public names.
func (e *Environment) entrance(ctx context.Context) error {
	shared, err := e.at.shared()
	if err != nil {
		return err
	}
	for _, file := range e.istioFiles(shared, "Kustomization") {
		if _, err := e.kubectl(ctx, "apply", "-k", strings.TrimSuffix(file, "/Kustomization")); err != nil {
			return err
		}
	}
	if e.at.entry == "" {
		return nil
	}
	return e.certify(ctx)
}

// leave takes away what the topology has brought, as far as the next overlay would not.
func (e *Environment) leave(ctx context.Context) error {
	shared, err := e.at.shared()
	if err != nil {
		return err
	}
	for _, file := range e.istioFiles(shared, "Kustomization") {
		if _, err := e.kubectl(ctx, "delete", "--ignore-not-found", "-k", strings.TrimSuffix(file, "/Kustomization")); err != nil {
			return err
		}
	}
	for _, g := range e.at.gateways {
		if g.namespace == east.namespace {
			continue
		}
		if _, err := e.kubectl(ctx, "delete", "namespace", g.namespace); err != nil {
			return err
		}
	}
	return nil
}

// certify makes the authority of the public names' certificates, gives it to Tyk, and has it sign the
// gateway's certificate.
func (e *Environment) certify(ctx context.Context) error {
	var err error
	if e.public, err = sds.NewAuthority(); err != nil {
		return err
	}
	pair, err := e.public.Issue(sds.Names{DNS: []string{"*.demo.meshpass.dev"}})
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(e.path("ca.pem"), e.public.RootPEM(), 0o644),
		os.WriteFile(e.path("tls.crt"), pair.Cert, 0o644),
		os.WriteFile(e.path("tls.key"), pair.Key, 0o600))
	if err != nil {
		return err
	}
	if err := e.derived(ctx, "create", "configmap", "public-ca", "-n", "edge", "--from-file="+e.path("ca.pem")); err != nil {
		return err
	}
	_, namespace, _ := strings.Cut(e.at.entry, ".")
	return e.derived(ctx, "create", "secret", "tls", "meshpass-ingress", "-n", namespace, "--cert="+e.path("tls.crt"), "--key="+e.path("tls.key"))
}

// entryAddress is that of the ingress gateway's Service, which Istio may only be about to make.
func (e *Environment) entryAddress(ctx context.Context) (string, error) {
	name, namespace, _ := strings.Cut(e.at.entry, ".")
	var address string
	err := e.await(ctx, "the ingress gateway", podsBound, func(ctx context.Context) (string, error) {
		var err error
		address, err = e.kubectl(ctx, "get", "service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
		if err != nil || address == "" {
			return "no Service " + e.at.entry, err
		}
		return e.unfinished(ctx, namespace)
	})
	return address, err
}
