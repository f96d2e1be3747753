package scenarios

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/e2e/services/service"
)

// Driver is an environment that plays cases.
type Driver interface {
	// Send sends one request and returns the answer. A connection that is closed or reset before
	// any answer gives an Answer with Closed set. An error means that nothing could be sent.
	Send(ctx context.Context, r Request) (Answer, error)
	// ReadRecords returns the audit records of a request so far, those of the gateway's plugin and
	// of the authorizer, in the order of time.
	ReadRecords(ctx context.Context, requestID string) ([]Record, error)
	// ReadHits returns the names of the services that a request has reached so far, in the order
	// of time.
	ReadHits(ctx context.Context, requestID string) ([]string, error)
}

// Request is a Send with an id.
type Request struct {
	ID string // also sent as X-Request-Id, which finds the records and hits
	Send
}

// BuildHeader returns the header lines to send, without the credential.
func (r Request) BuildHeader() http.Header {
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

// Answer is the answer that the sender got.
type Answer struct {
	Status int
	Closed bool
	Header http.Header
	Body   []byte
}

// AnsweredBy returns the program that answered: the name of a service, meshpass, envoy, plugin or
// tyk. It is empty if the connection was closed.
func (a Answer) AnsweredBy() string {
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

// BodyField returns the value at a dotted path of the JSON body, or an empty text.
func (a Answer) BodyField(path string) string {
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
