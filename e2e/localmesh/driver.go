package localmesh

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/hbone"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/identity"
)

var _ scenarios.Driver = (*Mesh)(nil)

// Send sends one request on a connection of its own, so that one case cannot disturb the next.
func (m *Mesh) Send(ctx context.Context, r scenarios.Request) (scenarios.Answer, error) {
	w, err := m.findRoute(r)
	if err != nil {
		return scenarios.Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, w.target+r.Path, nil)
	if err != nil {
		return scenarios.Answer{}, err
	}
	request.Header, request.Host = r.BuildHeader(), r.Host
	if err := m.authenticate(request, r); err != nil {
		return scenarios.Answer{}, err
	}
	client := http.Client{
		Transport: &http.Transport{Proxy: w.proxy, TLSClientConfig: w.tls, DialContext: w.dial, DisableKeepAlives: true},
		Timeout:   20 * time.Second,
	}
	return readAnswer(client.Do(request))
}

// readAnswer reads a response to its end. A connection that the peer closes is an answer too, with or
// without an alert of TLS or a refusal of a tunnel.
func readAnswer(response *http.Response, err error) (scenarios.Answer, error) {
	hungUp := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if hungUp || isAlert(err) || errors.Is(err, hbone.ErrRefused) {
		return scenarios.Answer{Closed: true}, nil
	}
	if err != nil {
		return scenarios.Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return scenarios.Answer{Status: response.StatusCode, Header: response.Header, Body: body}, err
}

// isAlert reports whether the peer sent a TLS alert. crypto/tls has no type for it, only this text.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// authenticate adds the credential and the token of the sender.
func (m *Mesh) authenticate(r *http.Request, sent scenarios.Request) error {
	value, err := m.AuthorizationHeader(r.Context(), sent.As)
	if err != nil {
		return err
	}
	if value != "" {
		r.Header.Set("Authorization", value)
	}
	if sent.Token == nil {
		return nil
	}
	raw, err := m.mintToken(*sent.Token)
	r.Header.Set(identity.Header, raw)
	return err
}

// EgressURL is the URL of a workload's sidecar, for tests that send through it themselves.
func (m *Mesh) EgressURL(name string) string { return m.workloads[name].ProxyURL() }
