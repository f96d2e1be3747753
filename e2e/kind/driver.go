package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

var _ scenarios.Driver = (*Environment)(nil)

const (
	issuerURL  = "http://idp.idp.svc.cluster.local:9556"
	gatewayURL = "http://tyk-gateway.edge.svc.cluster.local:8080"
)

// Send sends one request from a pod: from the workload's own, or from one outside the mesh. Beside
// the targets of every environment, a cluster knows
//
//	to: service/orders      by the name of the Service, also from outside the mesh
//	to: pod/orders[:port]   by the pod's address
func (e *Environment) Send(ctx context.Context, r scenarios.Request) (scenarios.Answer, error) {
	if r.Token != nil || r.Host != "" {
		return scenarios.Answer{}, fmt.Errorf("%s: a cluster's cases cannot choose a token or a host", r.ID)
	}
	from, err := senderOf(r.From)
	if err != nil {
		return scenarios.Answer{}, err
	}
	target, err := e.target(ctx, r.Send)
	if err != nil {
		return scenarios.Answer{}, err
	}
	header := r.Header()
	credential, err := e.authorization(ctx, r.As)
	if err != nil {
		return scenarios.Answer{}, err
	}
	if credential != "" {
		header.Set("Authorization", credential)
	}
	var a sender.Answer
	err = e.inPod(ctx, from, "send", sender.Message{Method: r.Method, URL: target + r.Path, Header: header}, &a)
	return scenarios.Answer{Status: a.Status, Closed: a.Closed, Header: signedByItself(a.Header), Body: a.Body}, err
}

// signedByItself: the gateway's sidecar writes its own name on every answer. Tyk's own answers are
// known by the header that no other layer writes.
func signedByItself(h http.Header) http.Header {
	if h.Get("X-Generator") == "tyk.io" {
		h.Del("Server")
	}
	return h
}

// client is the sender outside the mesh.
var client = place{namespace: "outside", deployment: "client"}

// place is where a sender runs.
type place struct{ namespace, deployment string }

// senderOf finds the sender that has a workload's certificate, for example of ns/shop/sa/inventory.
func senderOf(workload string) (place, error) {
	if workload == "" {
		return client, nil
	}
	parts := strings.Split(workload, "/")
	if len(parts) != 4 || parts[0] != "ns" || parts[2] != "sa" {
		return place{}, fmt.Errorf("%q is no workload: want ns/NAMESPACE/sa/NAME", workload)
	}
	return place{namespace: parts[1], deployment: "as-" + parts[3]}, nil
}

// podBound is longer than any load.
const podBound = 4 * time.Minute

// inPod runs the sender's command in its pod.
func (e *Environment) inPod(ctx context.Context, p place, command string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, podBound)
	defer cancel()
	asked, err := json.Marshal(in)
	if err != nil {
		return err
	}
	said, err := e.tool(ctx, asked, "kubectl", "exec", "-i", "-n", p.namespace, "deployment/"+p.deployment, "-c", "sender", "--", "sender", command)
	if err != nil {
		return err
	}
	return json.Unmarshal(said, out)
}

// target is the URL that a request goes to, without its path.
func (e *Environment) target(ctx context.Context, s scenarios.Send) (string, error) {
	kind, name, found := strings.Cut(s.To, "/")
	switch {
	case s.To == "gateway":
		return gatewayURL, nil
	case !found && s.From != "":
		return serviceURL(s.To), nil
	case !found:
		return e.podURL(ctx, s.To)
	case kind == "service":
		return serviceURL(name), nil
	case kind == "pod":
		return e.podURL(ctx, name)
	}
	return "", fmt.Errorf("nothing here is called %q", s.To)
}

func serviceURL(name string) string { return "http://" + name + ".shop.svc.cluster.local:8080" }

func (e *Environment) podURL(ctx context.Context, target string) (string, error) {
	name, port, found := strings.Cut(target, ":")
	if !found {
		port = "8080"
	}
	pods, err := e.pods(ctx, "shop", "app="+name)
	if err != nil {
		return "", err
	}
	if len(pods) == 0 || pods[0].Status.PodIP == "" {
		return "", fmt.Errorf("no pod of %q has an address", name)
	}
	return "http://" + pods[0].Status.PodIP + ":" + port, nil
}

// controlSecret opens Tyk's control API.
func (e *Environment) controlSecret() (string, error) {
	secret, err := os.ReadFile(e.path("APISecret"))
	return string(secret), err
}
