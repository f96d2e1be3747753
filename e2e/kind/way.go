package kind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// place is the Deployment of a sender.
type place struct{ namespace, deployment string }

// client is the sender outside the mesh.
var client = place{namespace: "outside", deployment: "client"}

// route describes how a request enters the mesh. The URL of its message has no path yet.
type route struct {
	from place
	sender.Message
}

func (e *Environment) findRoute(ctx context.Context, s scenarios.Send) (route, error) {
	w := route{from: client, Message: sender.Message{Host: s.Host}}
	var err error
	switch kind, name, _ := strings.Cut(s.To, "/"); {
	case s.Tunnel != "":
		return w, errors.New("this environment does not send through a tunnel")
	case strings.HasPrefix(s.From, "ns/"):
		if w.from, err = findSender(s.From); err == nil {
			w.URL, err = e.urlWithinMesh(ctx, s.To)
		}
	case kind == "gateway":
		var g gateway
		g, err = e.findGateway(name)
		w.URL = g.url()
	case kind == "ingress":
		err = e.routeToIngress(ctx, &w, s, name == "plaintext")
	case kind == "service":
		w.URL = serviceURL(name)
	default:
		err = e.routeToPod(ctx, &w, s)
	}
	return w, err
}

// findSender finds the sender that has a workload's certificate, for example of ns/shop/sa/inventory.
func findSender(workload string) (place, error) {
	parts := strings.Split(workload, "/")
	if len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" {
		return place{}, fmt.Errorf("%q is not a workload: want ns/NAMESPACE/sa/NAME", workload)
	}
	return place{namespace: parts[1], deployment: "as-" + parts[3]}, nil
}

// urlWithinMesh returns the URL that a workload of the mesh uses; its Envoy does the rest.
func (e *Environment) urlWithinMesh(ctx context.Context, to string) (string, error) {
	kind, name, found := strings.Cut(to, "/")
	switch {
	case !found:
		return serviceURL(to), nil
	case kind == "service":
		return serviceURL(name), nil
	case kind == "pod":
		address, err := e.podAddress(ctx, name)
		return "http://" + address, err
	}
	return "", fmt.Errorf("no target within the mesh is called %q", to)
}

// routeToPod leads to a workload's address: in plaintext, or with a certificate of the mesh's authority.
func (e *Environment) routeToPod(ctx context.Context, w *route, s scenarios.Send) error {
	address, err := e.podAddress(ctx, strings.TrimPrefix(s.To, "pod/"))
	if err != nil {
		return err
	}
	w.URL = "http://" + address
	if s.From != "" {
		w.URL = "https://" + address
		w.TLS, err = e.clientTLS(ctx, s.From)
	}
	return err
}

// routeToIngress leads from a client to the ingress gateway, which the client verifies by its certificate for the
// host.
func (e *Environment) routeToIngress(ctx context.Context, w *route, s scenarios.Send, plaintext bool) error {
	if e.current.entry == "" {
		return errors.New("this topology has no ingress gateway")
	}
	w.Connect = e.current.entry + ".svc.cluster.local:443"
	if plaintext {
		w.URL = "http://" + w.Connect
		return nil
	}
	w.URL, w.TLS = "https://"+s.Host, &sender.TLS{}
	if s.From != "" {
		var err error
		if w.TLS, err = e.clientTLS(ctx, s.From); err != nil {
			return err
		}
	}
	w.TLS.Roots = e.public.RootPEM()
	return nil
}

func serviceURL(name string) string { return "http://" + name + ".shop.svc.cluster.local:8080" }

// podAddress returns the address of the first pod of a workload, NAME or NAME:PORT.
func (e *Environment) podAddress(ctx context.Context, target string) (string, error) {
	name, port, _ := strings.Cut(target, ":")
	pods, err := e.listPods(ctx, "shop", "app="+name)
	if err != nil {
		return "", err
	}
	if len(pods) == 0 || pods[0].Status.PodIP == "" {
		return "", fmt.Errorf("no pod of %q has an address", name)
	}
	return net.JoinHostPort(pods[0].Status.PodIP, cmp.Or(port, "8080")), nil
}
