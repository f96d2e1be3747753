package sds

import (
	gotls "crypto/tls"
	"crypto/x509"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

func newNode(t *testing.T, metadata map[string]any) *core.Node {
	t.Helper()
	s, err := structpb.NewStruct(metadata)
	if err != nil {
		t.Fatal(err)
	}
	return &core.Node{Id: "orders", Metadata: s}
}

func newService(t *testing.T) *service {
	t.Helper()
	ca, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return &service{ca: ca}
}

func requestSecret(t *testing.T, s *service, n *core.Node, name string) *tls.Secret {
	t.Helper()
	answer, err := s.answerRequest(n, "", []string{name})
	if err != nil {
		t.Fatal(err)
	}
	var secret tls.Secret
	if len(answer) != 1 || answer[0].UnmarshalTo(&secret) != nil || secret.Name != name {
		t.Fatalf("got %v, want one secret %s", answer, name)
	}
	return &secret
}

func TestCertificateNamesTheNode(t *testing.T) {
	s := newService(t)
	orders := newNode(t, map[string]any{"NAMESPACE": "shop", "SERVICE_ACCOUNT": "orders"})
	own := requestSecret(t, s, orders, "default").GetTlsCertificate()
	trusted := requestSecret(t, s, orders, "ROOTCA").GetValidationContext().GetTrustedCa().GetInlineBytes()

	pair, err := gotls.X509KeyPair(own.GetCertificateChain().GetInlineBytes(), own.GetPrivateKey().GetInlineBytes())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trusted) {
		t.Fatal("ROOTCA holds no certificate")
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
			t.Error(err)
		}
	}
	if ids := pair.Leaf.URIs; len(ids) != 1 || ids[0].String() != "spiffe://cluster.local/ns/shop/sa/orders" {
		t.Errorf("the certificate names %v", ids)
	}
}

func TestRefusals(t *testing.T) {
	s := newService(t)
	good := map[string]any{"NAMESPACE": "shop", "SERVICE_ACCOUNT": "orders"}
	for want, row := range map[string]struct {
		metadata map[string]any
		secret   string
	}{
		`no secret is named "other"; there are default and ROOTCA`:                                                       {good, "other"},
		`node "orders" names no identity: TRUST_DOMAIN "cluster.local", NAMESPACE "shop", SERVICE_ACCOUNT ""`:            {map[string]any{"NAMESPACE": "shop"}, "default"},
		`node "orders" names no identity: TRUST_DOMAIN "cluster.local", NAMESPACE "shop/sa/x", SERVICE_ACCOUNT "orders"`: {map[string]any{"NAMESPACE": "shop/sa/x", "SERVICE_ACCOUNT": "orders"}, "default"},
		`node "orders" names no identity: TRUST_DOMAIN "cluster.local", NAMESPACE "shop", SERVICE_ACCOUNT "orders?"`:     {map[string]any{"NAMESPACE": "shop", "SERVICE_ACCOUNT": "orders?"}, "default"},
		`node "orders" names no identity: TRUST_DOMAIN "a/b", NAMESPACE "shop", SERVICE_ACCOUNT "orders"`:                {map[string]any{"TRUST_DOMAIN": "a/b", "NAMESPACE": "shop", "SERVICE_ACCOUNT": "orders"}, "default"},
	} {
		answer, err := s.answerRequest(newNode(t, row.metadata), "", []string{row.secret})
		if err == nil || err.Error() != want || answer != nil {
			t.Errorf("got %v, %v; want %s", answer, err, want)
		}
	}
}
