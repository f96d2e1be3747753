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

// Send sends one request from a pod: from the workload's own, or from one outside the mesh. Beside
// the targets of every environment, a cluster knows
//
//	to: service/orders      by the name of the Service, also from outside the mesh
//	to: pod/orders[:port]   by the pod's address
func (e *Environment) Send(ctx context.Context, r scenarios.Request) (scenarios.Answer, error) {
	w, err := e.way(ctx, r.Send)
	if err != nil {
		return scenarios.Answer{}, err
	}
	w.Method, w.URL, w.Header = r.Method, w.URL+r.Path, r.BuildHeader()
	if err := e.authenticate(ctx, w.Header, r.Send); err != nil {
		return scenarios.Answer{}, err
	}
	var a sender.Answer
	err = e.inPod(ctx, w.from, "send", w.Message, &a)
	return scenarios.Answer{Status: a.Status, Closed: a.Closed, Header: signedByItself(a.Header), Body: a.Body}, err
}

// authenticate adds the credential and the token that the sender shows.
func (e *Environment) authenticate(ctx context.Context, h http.Header, s scenarios.Send) error {
	credential, err := e.authorization(ctx, s.As)
	if err != nil {
		return err
	}
	if credential != "" {
		h.Set("Authorization", credential)
	}
	if s.Token == nil {
		return nil
	}
	g, err := e.gateway(s.Token.By)
	if err != nil {
		return err
	}
	raw, err := s.Token.SignWith(e.shipped(g.plugin), e.path(g.home, "keys"))
	h.Set(identity.Header, raw)
	return err
}

// signedByItself: the gateway's sidecar writes its own name on every answer. Tyk's own answers are
// known by the header that no other layer writes.
func signedByItself(h http.Header) http.Header {
	if h.Get("X-Generator") == "tyk.io" {
		h.Del("Server")
	}
	return h
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
