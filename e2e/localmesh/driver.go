package localmesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

var _ scenarios.Driver = (*Mesh)(nil)

// Send sends one request on a connection of its own, so that one case cannot disturb the next.
func (m *Mesh) Send(ctx context.Context, r scenarios.Request) (scenarios.Answer, error) {
	target, proxy, err := m.way(r)
	if err != nil {
		return scenarios.Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target+r.Path, nil)
	if err != nil {
		return scenarios.Answer{}, err
	}
	request.Header = r.Header()
	if err := m.authenticate(request, r.As); err != nil {
		return scenarios.Answer{}, err
	}
	client := http.Client{
		Transport: &http.Transport{Proxy: proxy, DisableKeepAlives: true},
		Timeout:   20 * time.Second,
	}
	return answer(client.Do(request))
}

// answer reads a response to its end. The peer that hangs up without a word is an answer, too.
func answer(response *http.Response, err error) (scenarios.Answer, error) {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return scenarios.Answer{Closed: true}, nil
	}
	if err != nil {
		return scenarios.Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return scenarios.Answer{Status: response.StatusCode, Header: response.Header, Body: body}, err
}

// way tells where a request is sent to, and through which proxy.
func (m *Mesh) way(r scenarios.Request) (target string, proxy func(*http.Request) (*url.URL, error), err error) {
	switch {
	case r.From != "":
		proxy, err = m.egress(r.From)
		return serviceURL(r.To), proxy, err
	case r.To == "gateway" || strings.HasPrefix(r.To, "gateway/"):
		target, err = m.gatewayURL(strings.TrimPrefix(strings.TrimPrefix(r.To, "gateway"), "/"))
		return target, nil, err
	}
	workload, ok := m.workloads[r.To]
	if !ok {
		return "", nil, fmt.Errorf("nothing here is called %q", r.To)
	}
	return fmt.Sprintf("http://%s:%d", workload.Address, inboundPort), nil, nil
}

// egress is the sidecar of a workload such as ns/shop/sa/inventory: what is sent through it goes
// out with that workload's certificate.
func (m *Mesh) egress(from string) (func(*http.Request) (*url.URL, error), error) {
	for _, w := range m.workloads {
		if from == "ns/"+w.Namespace+"/sa/"+w.ServiceAccount {
			proxy, err := url.Parse(w.Proxy())
			return http.ProxyURL(proxy), err
		}
	}
	return nil, fmt.Errorf("no workload is %q", from)
}

// authenticate adds the credential called name: a user's access token, "<user>/id" for her ID
// token, or a consumer's API key.
func (m *Mesh) authenticate(r *http.Request, name string) error {
	value, err := m.Authorization(r.Context(), name)
	if value != "" {
		r.Header.Set("Authorization", value)
	}
	return err
}

// Egress is the URL of a workload's sidecar, for those who send through it by hand.
func (m *Mesh) Egress(name string) string { return m.workloads[name].Proxy() }
