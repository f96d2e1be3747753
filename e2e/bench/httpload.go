package bench

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

	"github.com/meshpass/meshpass/internal/process"
)

// httpLoad is a fixed number of clients. Each sends its next request after the answer to the last one.
type httpLoad struct {
	url, authorization string
	clients            int
	server             *process.Proc
	transport          *http.Transport
}

func newHTTPLoad(url, authorization string, clients int, server *process.Proc) httpLoad {
	return httpLoad{url: url, authorization: authorization, clients: clients, server: server, transport: &http.Transport{MaxIdleConnsPerHost: clients}}
}

func (l httpLoad) close() { l.transport.CloseIdleConnections() }

// run sends requests for the given time, and waits for the last answers, so that connections stay open and no request is counted
// in part. An answer other than 200 ends it with an error, because denials are fast and measure nothing.
func (l httpLoad) run(ctx context.Context, length time.Duration) (got answered, err error) {
	client := &http.Client{Transport: l.transport}
	var answers atomic.Int64
	var all sync.WaitGroup
	failures := make([]error, l.clients)
	cpuBefore, err := cpuTime(l.server.PID())
	if err != nil {
		return got, err
	}
	began := time.Now()
	for i := range l.clients {
		all.Go(func() {
			for failures[i] == nil && time.Since(began) < length {
				if failures[i] = l.sendOnce(ctx, client); failures[i] == nil {
					answers.Add(1)
				}
			}
		})
	}
	all.Wait()
	got.took, got.answers = time.Since(began), int(answers.Load())
	cpuAfter, err := cpuTime(l.server.PID())
	got.cpu = cpuAfter - cpuBefore
	return got, errors.Join(append(failures, err)...)
}

func (l httpLoad) sendOnce(ctx context.Context, client *http.Client) error {
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
		text, _ := io.ReadAll(io.LimitReader(response.Body, 500)) // for the message
		return fmt.Errorf("the gateway answered %s to %s: %s", response.Status, l.url, text)
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
