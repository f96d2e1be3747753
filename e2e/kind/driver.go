package kind

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/identity"
)

var _ scenarios.Driver = (*Environment)(nil)

const issuerURL = "http://idp.idp.svc.cluster.local:9556"

// Send sends one request from a pod of the workload, or from a pod outside the mesh. A cluster has these
// targets in addition to the ones of every environment:
//
//	to: service/orders      by the name of the Service, also from outside the mesh
//	to: pod/orders[:port]   by the pod's address
func (e *Environment) Send(ctx context.Context, r scenarios.Request) (scenarios.Answer, error) {
	w, err := e.findRoute(ctx, r.Send)
	if err != nil {
		return scenarios.Answer{}, err
	}
	w.Method, w.URL, w.Header = r.Method, w.URL+r.Path, r.BuildHeader()
	if err := e.addCredentials(ctx, w.Header, r.Send); err != nil {
		return scenarios.Answer{}, err
	}
	var a sender.Answer
	err = e.runInPod(ctx, w.from, "send", w.Message, &a)
	return scenarios.Answer{Status: a.Status, Closed: a.Closed, Header: removeSidecarName(a.Header), Body: a.Body}, err
}

// addCredentials adds the credential and the token of the sender.
func (e *Environment) addCredentials(ctx context.Context, h http.Header, s scenarios.Send) error {
	credential, err := e.authorizationHeader(ctx, s.As)
	if err != nil {
		return err
	}
	if credential != "" {
		h.Set("Authorization", credential)
	}
	if s.Token == nil {
		return nil
	}
	g, err := e.findGateway(s.Token.By)
	if err != nil {
		return err
	}
	raw, err := s.Token.SignWith(e.repoFile(g.plugin), e.runFile(g.home, "keys"))
	h.Set(identity.Header, raw)
	return err
}

// removeSidecarName removes the name that the gateway's sidecar writes into every answer. Tyk's own answers
// have a header that no other layer writes.
func removeSidecarName(h http.Header) http.Header {
	if h.Get("X-Generator") == "tyk.io" {
		h.Del("Server")
	}
	return h
}

const (
	podBound  = 4 * time.Minute  // longer than every load
	sendBound = 45 * time.Second // longer than the sender waits for an answer; a connection of kubectl can hang
)

// runInPod runs a command of the sender in its pod.
func (e *Environment) runInPod(ctx context.Context, p place, command string, in, out any) error {
	bound := podBound
	if command == "send" {
		bound = sendBound
	}
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	input, err := json.Marshal(in)
	if err != nil {
		return err
	}
	output, err := e.runTool(ctx, input, "kubectl", "exec", "-i", "-n", p.namespace, "deployment/"+p.deployment, "-c", "sender", "--", "sender", command)
	if err != nil {
		return err
	}
	return json.Unmarshal(output, out)
}
