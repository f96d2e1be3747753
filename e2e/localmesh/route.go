package localmesh

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// route is the way of a request into the mesh.
type route struct {
	target string // URL without a path
	proxy  func(*http.Request) (*url.URL, error)
	tls    *tls.Config
	dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil: TCP
}

func (m *Mesh) findRoute(r scenarios.Request) (route, error) {
	kind, which, _ := strings.Cut(r.To, "/")
	switch {
	case r.Tunnel != "":
		return m.findTunnelRoute(r)
	case strings.HasPrefix(r.From, "ns/"):
		proxy, err := m.findSidecarProxy(r.From)
		if r.To == "outside" {
			return route{target: "http://" + r.Host, proxy: proxy}, err
		}
		return route{target: serviceURL(r.To), proxy: proxy}, err
	case kind == "gateway":
		g, err := m.findGateway(which)
		if err != nil {
			return route{}, err
		}
		return route{target: g.url}, nil
	case kind == "ingress":
		return m.findIngressRoute(r, which == "plaintext")
	}
	name, port, _ := strings.Cut(r.To, ":")
	workload, ok := m.workloads[name]
	if !ok {
		return route{}, fmt.Errorf("no workload is named %q", name)
	}
	address := net.JoinHostPort(workload.Address, cmp.Or(port, strconv.Itoa(inboundPort)))
	if r.From == "" {
		return route{target: "http://" + address}, nil
	}
	config, err := m.newClientTLS(r.From)
	return route{target: "https://" + address, tls: config}, err
}

// findIngressRoute is the route of a client to the ingress gateway. The client verifies the
// gateway's certificate for the host.
func (m *Mesh) findIngressRoute(r scenarios.Request, plaintext bool) (route, error) {
	ingress, ok := m.findIngress()
	if !ok {
		return route{}, errors.New("this topology has no ingress gateway")
	}
	address := fmt.Sprintf("%s:%d", ingress.Address, ingressPort)
	if plaintext {
		return route{target: "http://" + address}, nil
	}
	root, err := os.ReadFile(m.filePath(publicCA))
	if err != nil {
		return route{}, err
	}
	config := &tls.Config{}
	if r.From != "" {
		if config, err = m.newClientTLS(r.From); err != nil {
			return route{}, err
		}
	}
	config.ServerName, config.InsecureSkipVerify, config.NextProtos = r.Host, false, nil
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AppendCertsFromPEM(root)
	return route{target: "https://" + address, tls: config}, nil
}

// findSidecarProxy gives the proxy of a workload's sidecar, such as that of ns/shop/sa/inventory. A
// request through it is sent with that workload's certificate.
func (m *Mesh) findSidecarProxy(from string) (func(*http.Request) (*url.URL, error), error) {
	for _, w := range m.workloads {
		if from == "ns/"+w.Namespace+"/sa/"+w.ServiceAccount {
			proxy, err := url.Parse(w.ProxyURL())
			return http.ProxyURL(proxy), err
		}
	}
	return nil, fmt.Errorf("no workload has the identity %q", from)
}

// newClientTLS makes the TLS configuration of a client with a certificate of the mesh's authority,
// for a SPIFFE id or for dns:NAME.
func (m *Mesh) newClientTLS(name string) (*tls.Config, error) {
	names, err := sds.ParseNames(name)
	if err != nil {
		return nil, err
	}
	pair, err := m.ca.Issue(names)
	if err != nil {
		return nil, err
	}
	own, err := tls.X509KeyPair(pair.Cert, pair.Key)
	return &tls.Config{
		Certificates: []tls.Certificate{own},
		NextProtos:   []string{"istio"}, // an Envoy in PERMISSIVE mode recognises the mesh's TLS by this
		// The mesh's certificates hold no host name to compare with. The tests are about the client's
		// identity, not about the server's.
		InsecureSkipVerify: true,
	}, err
}
