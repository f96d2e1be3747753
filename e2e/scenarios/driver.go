package scenarios

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/e2e/services/service"
)

// Driver is an environment in which cases can be played.
type Driver interface {
	// Send sends one request and returns the answer; a connection that is closed or reset before
	// any answer is an Answer with Closed set. An error means that the request could not be tried.
	Send(ctx context.Context, r Request) (Answer, error)
	// Records returns what the gateway's plugin and the authorizer have recorded about a request
	// so far, in the order of time.
	Records(ctx context.Context, requestID string) ([]Record, error)
	// Hits names the services that have seen a request so far, in the order of time.
	Hits(ctx context.Context, requestID string) ([]string, error)
}

// Request is a Send with everything filled in.
type Request struct {
	ID string // also sent as X-Request-Id, by which records and hits are found
	Send
}

// Header builds the header lines to be sent, credential excepted.
func (r Request) Header() http.Header {
	h := http.Header{}
	for name, values := range r.Headers {
		h[http.CanonicalHeaderKey(name)] = values
	}
	for name, size := range r.Fill {
		h.Set(name, strings.Repeat("x", size))
	}
	h.Set("X-Request-Id", r.ID)
	return h
}

// Answer is what the sender saw.
type Answer struct {
	Status int
	Closed bool
	Header http.Header
	Body   []byte
}

// By tells who answered: the name of a service, meshpass, envoy, plugin or tyk; "" when the
// connection was closed.
func (a Answer) By() string {
	problem := strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json")
	envoy := a.Header.Get("Server") == "istio-envoy" || a.Header.Get("Server") == "envoy"
	switch {
	case a.Closed:
		return ""
	case a.Header.Get(service.NameHeader) != "":
		return a.Header.Get(service.NameHeader)
	case problem && envoy:
		return "meshpass"
	case problem:
		return "plugin"
	case envoy:
		return "envoy"
	default:
		return "tyk"
	}
}

// Field reads the JSON body along a dotted path; "" when there is nothing.
func (a Answer) Field(path string) string {
	var value any
	if json.Unmarshal(a.Body, &value) != nil {
		return ""
	}
	for _, key := range strings.Split(path, ".") {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
