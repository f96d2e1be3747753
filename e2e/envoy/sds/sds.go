// Package sds gives Envoys their certificates, as Istio's agent does beside each of them.
// The secret "default" holds the workload's certificate and key, and "ROOTCA" the trusted
// root certificates.
//
// The identity is the one that the asking node claims. An agent would prove it with a
// service account's token. Here all nodes belong to the run, and the server listens on
// loopback.
package sds

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshpass/meshpass/e2e/envoy/sotw"
)

// Serve serves certificates of ca on addr until ctx ends or the server is stopped. An Envoy
// whose connection ends connects again and gets new certificates. So a stop and a new start
// of the server have the effect of a rotation.
func Serve(ctx context.Context, addr string, ca *Authority, log *slog.Logger) (*sotw.Server, error) {
	return sotw.Listen(ctx, addr, func(g *grpc.Server) {
		secret.RegisterSecretDiscoveryServiceServer(g, &service{ca: ca, log: log})
	}, log)
}

type service struct {
	secret.UnimplementedSecretDiscoveryServiceServer
	ca  *Authority
	log *slog.Logger
}

func (s *service) StreamSecrets(stream secret.SecretDiscoveryService_StreamSecretsServer) error {
	return sotw.ServeStream(stream, s.answerRequest, s.log)
}

func (s *service) answerRequest(node *core.Node, _ string, names []string) ([]*anypb.Any, error) {
	var out []*anypb.Any
	for _, name := range names {
		secret, err := s.newSecret(node, name)
		if err != nil {
			return nil, err
		}
		resource, err := anypb.New(secret)
		if err != nil {
			return nil, err
		}
		out = append(out, resource)
	}
	return out, nil
}

func (s *service) newSecret(node *core.Node, name string) (*tls.Secret, error) {
	switch name {
	case "ROOTCA":
		return &tls.Secret{Name: name, Type: &tls.Secret_ValidationContext{
			ValidationContext: &tls.CertificateValidationContext{TrustedCa: inlineBytes(s.ca.RootPEM())},
		}}, nil
	case "default":
		id, err := readIdentity(node)
		if err != nil {
			return nil, err
		}
		p, err := s.ca.Issue(Names{URIs: []*url.URL{id}})
		return &tls.Secret{Name: name, Type: &tls.Secret_TlsCertificate{
			TlsCertificate: &tls.TlsCertificate{CertificateChain: inlineBytes(p.Cert), PrivateKey: inlineBytes(p.Key)},
		}}, err
	}
	return nil, fmt.Errorf("no secret is named %q; there are default and ROOTCA", name)
}

func inlineBytes(data []byte) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: data}}
}

var labelForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

// readIdentity reads the SPIFFE id from the node's metadata. TRUST_DOMAIN is ours: Istio's agent
// gets the trust domain from its environment.
func readIdentity(node *core.Node) (*url.URL, error) {
	fields := node.GetMetadata().GetFields()
	ns, sa := fields["NAMESPACE"].GetStringValue(), fields["SERVICE_ACCOUNT"].GetStringValue()
	domain := cmp.Or(fields["TRUST_DOMAIN"].GetStringValue(), "cluster.local")
	if !labelForm.MatchString(ns) || !labelForm.MatchString(sa) || !labelForm.MatchString(domain) {
		return nil, fmt.Errorf("node %q names no identity: TRUST_DOMAIN %q, NAMESPACE %q, SERVICE_ACCOUNT %q", node.GetId(), domain, ns, sa)
	}
	return &url.URL{Scheme: "spiffe", Host: domain, Path: "/ns/" + ns + "/sa/" + sa}, nil
}
