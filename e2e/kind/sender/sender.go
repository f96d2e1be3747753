// Package sender sends requests from within a pod, on behalf of whoever runs the program in it:
//
//	sender wait                        the container's main program; it does nothing
//	sender send  < Message > Answer    one request
//	sender load  < Load    > Tally     the same request again and again
//	sender login < Login   > Tokens    a user signs in at the OpenID provider
//
// What goes in and out is JSON on standard input and output, so nothing in the pod listens and
// no credential is in an argument.
package sender

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"
)

// Message is one request.
type Message struct {
	Method, URL string
	Header      http.Header
	Body        []byte
}

// Answer is what came back. Closed: the peer ended the connection without a word.
type Answer struct {
	Status int
	Closed bool
	Header http.Header
	Body   []byte
}

// Login says who signs in where.
type Login struct{ Issuer, User string }

const timeout = 20 * time.Second

// Send sends a request on a connection of its own, so that one cannot disturb the next.
func Send(ctx context.Context, m Message) (Answer, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: timeout}
	return send(ctx, &client, m)
}

func send(ctx context.Context, client *http.Client, m Message) (Answer, error) {
	request, err := http.NewRequestWithContext(ctx, m.Method, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return Answer{}, err
	}
	if m.Header != nil {
		request.Header = m.Header.Clone()
	}
	response, err := client.Do(request)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return Answer{Closed: true}, nil
	}
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, err
}
