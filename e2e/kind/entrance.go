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

// applyEntrance applies the topology's folders of manifests/istio, and gives their gateway a certificate
// for its public names.
func (e *Environment) applyEntrance(ctx context.Context) error {
	shared, err := e.current.loadShared()
	if err != nil {
		return err
	}
	for _, file := range e.istioFiles(shared, "Kustomization") {
		if _, err := e.kubectl(ctx, "apply", "-k", strings.TrimSuffix(file, "/Kustomization")); err != nil {
			return err
		}
	}
	if e.current.entry == "" {
		return nil
	}
	return e.issueIngressCertificate(ctx)
}

// removeTopology removes the objects of the topology that the next overlay would not replace.
func (e *Environment) removeTopology(ctx context.Context) error {
	shared, err := e.current.loadShared()
	if err != nil {
		return err
	}
	for _, file := range e.istioFiles(shared, "Kustomization") {
		if _, err := e.kubectl(ctx, "delete", "--ignore-not-found", "-k", strings.TrimSuffix(file, "/Kustomization")); err != nil {
			return err
		}
	}
	for _, g := range e.current.gateways {
		if g.namespace == east.namespace {
			continue
		}
		if _, err := e.kubectl(ctx, "delete", "namespace", g.namespace); err != nil {
			return err
		}
	}
	return nil
}

// issueIngressCertificate makes the authority of the public names' certificates, gives its root to Tyk, and
// signs the gateway's certificate.
func (e *Environment) issueIngressCertificate(ctx context.Context) error {
	var err error
	if e.public, err = sds.NewAuthority(); err != nil {
		return err
	}
	pair, err := e.public.Issue(sds.Names{DNS: []string{"*.demo.meshpass.dev"}})
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(e.runFile("ca.pem"), e.public.RootPEM(), 0o644),
		os.WriteFile(e.runFile("tls.crt"), pair.Cert, 0o644),
		os.WriteFile(e.runFile("tls.key"), pair.Key, 0o600))
	if err != nil {
		return err
	}
	if err := e.applyCreated(ctx, "create", "configmap", "public-ca", "-n", "edge", "--from-file="+e.runFile("ca.pem")); err != nil {
		return err
	}
	_, namespace, _ := strings.Cut(e.current.entry, ".")
	return e.applyCreated(ctx, "create", "secret", "tls", "meshpass-ingress", "-n", namespace, "--cert="+e.runFile("tls.crt"), "--key="+e.runFile("tls.key"))
}

// entryAddress returns the address of the ingress gateway's Service, which Istio may not have made yet.
func (e *Environment) entryAddress(ctx context.Context) (string, error) {
	name, namespace, _ := strings.Cut(e.current.entry, ".")
	var address string
	err := e.waitFor(ctx, "the ingress gateway", podsBound, func(ctx context.Context) (string, error) {
		var err error
		address, err = e.kubectl(ctx, "get", "service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
		if err != nil || address == "" {
			return "no Service " + e.current.entry, err
		}
		return e.listUnfinished(ctx, namespace)
	})
	return address, err
}
