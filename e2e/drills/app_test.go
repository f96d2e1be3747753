package drills

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// With these headers a caller chooses the app's answer.
const (
	appStatus = "X-App-Status" // with this status
	appHold   = "X-App-Hold"   // only once release is called
)

// app is the program behind an Envoy. It stores the requests that reached it.
type app struct {
	server  *http.Server
	mu      sync.Mutex
	reached map[string][]http.Header // by request id
	held    chan struct{}
}

func serveApp(t *testing.T, address string) *app {
	t.Helper()
	a := &app{reached: map[string][]http.Header{}, held: make(chan struct{})}
	a.server = &http.Server{Handler: a}
	listener := mustGet(net.Listen("tcp", address+":9080"))(t)
	go func() { _ = a.server.Serve(listener) }() // ends when closed
	stopAtEnd(t, a.server.Close)
	return a
}

func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	id := r.Header.Get("X-Request-Id")
	a.reached[id] = append(a.reached[id], r.Header)
	held := a.held
	a.mu.Unlock()
	if r.Header.Get(appHold) != "" {
		<-held
	}
	if status, err := strconv.Atoi(r.Header.Get(appStatus)); err == nil {
		w.WriteHeader(status)
	}
}

// requestsWithID returns the headers of the requests with this id that reached the app.
func (a *app) requestsWithID(id string) []http.Header {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reached[id]
}

// requestCount counts the requests that reached the app.
func (a *app) requestCount() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, all := range a.reached {
		n += len(all)
	}
	return n
}

// releaseHeld answers all held requests. Later requests are held again.
func (a *app) releaseHeld() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.held)
	a.held = make(chan struct{})
}
