// Package sender sends requests from within a pod, on behalf of the process that runs the program in it:
//
//	sender wait                        the container's main program; it does nothing
//	sender echo                        the container's main program; it answers each request with its headers, on port 8080
//	sender send  < Message > Answer    one request
//	sender load  < Load    > Tally     the same request again and again
//	sender login < Login   > Tokens    a user signs in at the OpenID provider
//
// Input and output are JSON on standard input and output, so no process but echo listens in the pod and no credential is
// in an argument.
package sender

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Message is one request. Connect and TLS are for single requests; a load uses only its URL.
type Message struct {
	Method, URL string
	Host        string // absent: that of the URL
	Connect     string // host:port to connect to; absent: those of the URL
	TLS         *TLS   // of an https URL
	Header      http.Header
	Body        []byte
}

// Answer is the response. Closed: the peer ended the connection without a response.
type Answer struct {
	Status int
	Closed bool
	Header http.Header
	Body   []byte
}

// Login names a user and the provider at which the user signs in.
type Login struct{ Issuer, User string }

const timeout = 20 * time.Second

// Send sends a request on a connection of its own, so that one cannot disturb the next.
func Send(ctx context.Context, m Message) (Answer, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if m.Connect != "" {
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, m.Connect)
		}
	}
	if m.TLS != nil {
		var err error
		if transport.TLSClientConfig, err = m.TLS.newConfig(); err != nil {
			return Answer{}, err
		}
	}
	return sendWith(ctx, &http.Client{Transport: transport, Timeout: timeout}, m)
}

func sendWith(ctx context.Context, client *http.Client, m Message) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, m.Method, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return Answer{}, err
	}
	request.Host = cmp.Or(m.Host, request.Host)
	if m.Header != nil {
		request.Header = m.Header.Clone()
	}
	response, err := client.Do(request)
	if isClosed(err) {
		return Answer{Closed: true}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, err
}

// isClosed reports whether the peer ended the connection without a response, or with an alert of TLS. Of such an
// alert, crypto/tls only reports that it is the peer's.
func isClosed(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || ok && op.Op == "remote error"
}
