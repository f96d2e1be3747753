package gateway_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/idp"
	"github.com/meshpass/meshpass/shared/identity"
)

// call is a request to the gateway. Each carries a forged token.
type call struct {
	method, path string // method: "" is GET
	host         string // "": the gateway's
	as           string // "": nobody, "key": the API key, or the tenant of an alice
	header       http.Header
	body         string
	certificates []tls.Certificate // of the client
}

// answer is what became of a call.
type answer struct {
	status   int    // 0: the connection was closed without an answer
	says     string // the reason of a refusal, of ours or Tyk's own words; "": no body
	upstream string // what the upstream saw
}

// sent is an answer with all that a test may look at.
type sent struct {
	answer
	id     string           // of the request
	claims *identity.Claims // of a signed token
	header http.Header
	body   string
}

func (r *rig) send(t *testing.T, c call) sent {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(t.Context(), c.method, r.url+c.path, strings.NewReader(c.body))
	must(t, err)
	request.Host = c.host
	id := rand.Text()
	request.Header = http.Header{identity.Header: {forged}, "X-Request-Id": {id}}
	for name, values := range c.header {
		request.Header[name] = values
	}
	if credential := r.credential(t, c.as); credential != "" {
		request.Header.Set("Authorization", credential)
	}
	response, err := client(c.certificates...).Do(request)
	s := sent{id: id}
	if err == nil {
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		must(t, err)
		s.status, s.says, s.header, s.body = response.StatusCode, says(body), response.Header, string(body)
	} else if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	s.upstream, s.claims = r.upstream.saw(t, id)
	return s
}

// client makes a connection of its own when it has certificates. The gateway's own is made for the test.
func client(certificates ...tls.Certificate) *http.Client {
	if len(certificates) == 0 {
		return anybody
	}
	// A callback, because Go sends none of Certificates whose issuer Tyk does not name; and which ones Tyk names
	// depends on whether it was asked before the certificates were uploaded: it keeps that for a minute.
	chosen := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{GetClientCertificate: chosen, InsecureSkipVerify: true}}}
}

var anybody = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func (r *rig) credential(t *testing.T, as string) string {
	t.Helper()
	switch as {
	case "":
		return ""
	case "key":
		return r.key
	}
	tokens, err := idp.Login(t.Context(), r.issuers[as], "alice")
	must(t, err)
	return "Bearer " + tokens.ID
}

// says reads our refusals and Tyk's.
func says(body []byte) string {
	var refusal struct{ Reason, Error string }
	if json.Unmarshal(body, &refusal) != nil {
		return strings.TrimSpace(string(body))
	}
	return refusal.Reason + refusal.Error
}

// control calls the gateway's control API.
func (r *rig) control(ctx context.Context, method, path, body string) (int, []byte, error) {
	return r.ask(ctx, r.admin, method, path, body)
}

// ask calls one of the gateway's ports, with the control API's secret.
func (r *rig) ask(ctx context.Context, base, method, path, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("X-Tyk-Authorization", secret)
	response, err := client().Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	return response.StatusCode, data, err
}
