package service

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/forward"
)

// Upstream calls another service, and passes on the token and the tracing headers of the request
// that is being served.
type Upstream struct {
	base   string
	client http.Client
}

// newProxiedUpstream calls the service at base through a proxy if there is one. It returns nil for
// a service without an upstream.
func newProxiedUpstream(base, proxy string) (*Upstream, error) {
	if base == "" {
		return nil, nil
	}
	transport := &http.Transport{}
	if proxy != "" {
		via, err := url.Parse(proxy)
		if err != nil {
			return nil, fmt.Errorf("-proxy: %w", err)
		}
		transport.Proxy = http.ProxyURL(via)
	}
	return NewUpstream(base, transport)
}

// NewUpstream calls the service at base, a URL without a trailing slash, over transport. The token
// goes to that service's host and to no other.
func NewUpstream(base string, transport http.RoundTripper) (*Upstream, error) {
	parsed, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	inside, err := forward.ParseHosts(parsed.Hostname())
	if err != nil {
		return nil, err
	}
	return &Upstream{base: strings.TrimSuffix(base, "/"), client: http.Client{
		Transport: &forward.Transport{Inside: inside, Base: tracingTransport{base: transport}},
		Timeout:   10 * time.Second,
	}}, nil
}

// Answer is the answer of an upstream: its status and its JSON body.
type Answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// Get requests a path. An answer with another status than 200 is an Answer too, not an error.
func (u *Upstream) Get(ctx context.Context, path string) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+path, nil)
	if err != nil {
		return Answer{}, err
	}
	response, err := u.client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return Answer{}, err
	}
	if !json.Valid(body) { // Envoy's own denials are plain text
		body, err = json.Marshal(string(body))
	}
	return Answer{Status: response.StatusCode, Body: body}, err
}
