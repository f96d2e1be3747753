package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// load is a bounded number of clients that ask one after the other.
type load struct {
	url, authorization string
	clients            int
}

// requestsPerSecond asks for as long as length and returns answers per second. One answer other than 200 ends it:
// a gateway that refuses is fast, and measures nothing.
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
		_, _ = io.WriteString(w, "fine\n") // the gateway went away: the load says so
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // the process ends with it
	go func() { _ = server.Serve(listener) }()            // ends with ctx; a failure shows in the load
	return "http://" + listener.Addr().String() + "/", nil
}

func cpuCount() float64 { return float64(runtime.NumCPU()) }
