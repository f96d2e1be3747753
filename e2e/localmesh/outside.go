package localmesh

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
)

// The parts between a gateway outside the mesh and the mesh's ingress gateway: a public certificate,
// a name in DNS, a load balancer.
const (
	publicDomain = "demo.meshpass.dev"
	ingressPort  = 8443
	publicCA     = "public-ca.pem"
)

// findIngress gives the Envoy of the ingress gateway. It reports false if there is no such gateway.
func (m *Mesh) findIngress() (envoy.Workload, bool) {
	for _, w := range m.workloads {
		if w.Type == envoy.Router && w.Labels["istio"] != "egressgateway" {
			return w, true
		}
	}
	return envoy.Workload{}, false
}

const certificateSecret = `apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {name: meshpass-ingress, namespace: %s}
data: {tls.crt: %s, tls.key: %s}
`

// writeIngress writes the certificate of the ingress gateway, and the root that signed it.
func (m *Mesh) writeIngress() error {
	ingress, ok := m.findIngress()
	if !ok {
		return nil
	}
	ca, err := sds.NewAuthority()
	if err != nil {
		return err
	}
	pair, err := ca.Issue(sds.Names{DNS: []string{"*." + publicDomain}})
	if err != nil {
		return err
	}
	encode := base64.StdEncoding.EncodeToString
	secret := fmt.Sprintf(certificateSecret, ingress.Namespace, encode(pair.Cert), encode(pair.Key))
	return errors.Join(
		os.WriteFile(m.filePath(publicCA), ca.RootPEM(), 0o644),
		os.WriteFile(m.filePath("cluster", "ingress-certificate.yaml"), []byte(secret), 0o600))
}

// startBalancer starts the stand-in for DNS and the load balancer, for a gateway without a sidecar:
// an HTTP proxy that tunnels to the ingress gateway for every name. TLS goes through it from end to
// end.
func (m *Mesh) startBalancer(ctx context.Context) error {
	ingress, ok := m.findIngress()
	if !ok {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", m.addressOf(balancerHost, balancerPort))
	if err != nil {
		return err
	}
	target := fmt.Sprintf("%s:%d", ingress.Address, ingressPort)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			if err := serveTunnel(w, r, target); err != nil {
				m.log.Error("tunnel to the ingress gateway", "error", err)
			}
		})}
	go func() { _ = server.Serve(listener) }() // ends when closed
	m.onClose(server.Close)
	return nil
}

func serveTunnel(w http.ResponseWriter, r *http.Request, target string) error {
	if r.Method != http.MethodConnect {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return nil
	}
	upstream, err := new(net.Dialer).DialContext(r.Context(), "tcp", target)
	if err != nil {
		http.Error(w, "no ingress gateway", http.StatusBadGateway)
		return err
	}
	defer upstream.Close()
	w.WriteHeader(http.StatusOK)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer client.Close()
	go func() {
		_, _ = io.Copy(upstream, buffered) // ends with either side
		_ = upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
	return nil
}
