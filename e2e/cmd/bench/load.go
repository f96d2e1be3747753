package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// load is a fixed number of clients. Each sends its next request after the answer to the last one.
type load struct {
	url, authorization string
	clients            int
}

// requestsPerSecond sends requests for the given time. An answer other than 200 ends it with an error,
// because denials are fast and measure nothing.
func (l load) requestsPerSecond(ctx context.Context, length time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, length, errTimeUp)
	defer cancel()
	transport := &http.Transport{MaxIdleConnsPerHost: l.clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var answers atomic.Int64
	var wg sync.WaitGroup
	failures := make(chan error, l.clients)
	began := time.Now()
	for range l.clients {
		wg.Go(func() { failures <- l.sendUntilDone(ctx, client, &answers) })
	}
	wg.Wait()
	close(failures)
	var errs []error
	for err := range failures {
		errs = append(errs, err)
	}
	return float64(answers.Load()) / time.Since(began).Seconds(), errors.Join(errs...)
}

var errTimeUp = errors.New("time is up")

func (l load) sendUntilDone(ctx context.Context, client *http.Client, answers *atomic.Int64) error {
	for {
		err := l.sendOnce(ctx, client)
		if errors.Is(context.Cause(ctx), errTimeUp) {
			return nil
		}
		if err != nil {
			return err
		}
		answers.Add(1)
	}
}

func (l load) sendOnce(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", l.authorization)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answered %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// startUpstream answers every request with the same few bytes, until ctx ends.
func startUpstream(ctx context.Context) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "fine\n") // the gateway is gone: the load reports that
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // the process ends then
	go func() { _ = server.Serve(listener) }()            // ends with ctx; a failure is an error of the load
	return "http://" + listener.Addr().String() + "/", nil
}
