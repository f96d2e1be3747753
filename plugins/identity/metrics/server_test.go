package metrics

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// testServer is a server whose address a test changes.
type testServer struct {
	*Server
	wanted string
	meter  *Meter
	log    locked
}

// locked is a log that servers write to while a test reads.
type locked struct {
	lock sync.Mutex
	text bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(p)
}

func (l *locked) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

func newTestServer(t *testing.T, text func() []byte) *testServer {
	s := &testServer{meter: NewMeter(Names{Goroutines: []string{"metrics"}})}
	s.Server = &Server{Address: func() string { return s.wanted }, Text: text, Goroutine: "metrics", CountPanic: s.meter.CountPanic, Log: slog.New(slog.NewTextHandler(&s.log, nil))}
	t.Cleanup(s.stopServing)
	return s
}

// freeAddress gives an address without a listener.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener := listen(t, "127.0.0.1:0")
	requireNoError(t, listener.Close())
	return listener.Addr().String()
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	requireNoError(t, err)
	return listener
}

func requireNoError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// scrape gives the status, or 0 without an answer, and the text.
func scrape(address, path string) (status int, contentType, text string) {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + path)
	if err != nil {
		return 0, "", ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body) // of an answer that is cut off, what came
	return response.StatusCode, response.Header.Get("Content-Type"), string(body)
}

func TestMetricsAreServed(t *testing.T) {
	s := newTestServer(t, func() []byte { return NewMeter(Names{}).Text(Snapshot{}) })
	s.Follow() // nowhere
	s.wanted = freeAddress(t)
	s.Follow()
	status, contentType, text := scrape(s.wanted, "/metrics")
	if status != 200 || contentType != "text/plain; version=0.0.4; charset=utf-8" || !strings.HasPrefix(text, "# HELP meshpass_edge_decisions_total ") {
		t.Errorf("got %d %s\n%s", status, contentType, text)
	}
	if status, _, _ := scrape(s.wanted, "/debug/pprof/"); status != 404 {
		t.Errorf("another path: got %d, want 404", status)
	}
}

// Each step builds on the one before.
func TestMetricsFollowTheAddress(t *testing.T) {
	s := newTestServer(t, func() []byte { return []byte("x 1\n") })
	first, second := freeAddress(t), freeAddress(t)
	taken := listen(t, "127.0.0.1:0")
	steps := []struct {
		name   string
		change func()
		served string // "": nowhere
	}{
		{"none is named", func() {}, ""},
		{"one is named", func() { s.wanted = first }, first},
		{"another", func() { s.wanted = second }, second},
		{"a port that is taken", func() { s.wanted = taken.Addr().String() }, ""},
		{"the port is free", func() { requireNoError(t, taken.Close()) }, taken.Addr().String()},
		{"the server dies", func() { requireNoError(t, s.serving.Close()); <-s.serving.ended }, taken.Addr().String()},
		{"none again", func() { s.wanted = "" }, ""},
	}
	for _, step := range steps {
		step.change()
		for range 3 {
			s.Follow()
		}
		for _, address := range []string{first, second, step.served} {
			if status, _, _ := scrape(address, "/metrics"); (status == 200) != (address == step.served && address != "") {
				t.Errorf("%s: %s answers %d", step.name, address, status)
			}
		}
	}
	if n := strings.Count(s.log.String(), "metrics cannot be served"); n != 1 {
		t.Errorf("the port that is taken is logged %d times, want once: %s", n, &s.log)
	}
}

// A panic while the text is made ends this scrape, not the gateway.
func TestPanicInAScrape(t *testing.T) {
	ill := true
	s := newTestServer(t, func() []byte {
		if ill {
			panic("a secret")
		}
		return []byte("x 1\n")
	})
	s.wanted = freeAddress(t)
	s.Follow()
	status, _, text := scrape(s.wanted, "/metrics")
	if status != 500 || strings.Contains(text+s.log.String(), "a secret") || s.meter.panics["metrics"].Load() != 1 {
		t.Errorf("got %d %s; log: %s", status, text, &s.log)
	}
	ill = false
	if status, _, text := scrape(s.wanted, "/metrics"); status != 200 || text != "x 1\n" {
		t.Errorf("afterwards: got %d %s", status, text)
	}
}

// A listener that panics ends its server, and the next call of Follow starts another.
func TestPanicInTheServer(t *testing.T) {
	s := newTestServer(t, func() []byte { return nil })
	s.wanted = freeAddress(t)
	s.startServing(s.wanted, broken{listen(t, s.wanted)})
	<-s.serving.ended
	s.Follow()
	if status, _, _ := scrape(s.wanted, "/metrics"); status != 200 {
		t.Errorf("got %d, want 200; log: %s", status, &s.log)
	}
	if s.meter.panics["metrics"].Load() != 1 {
		t.Error("the panic is not counted")
	}
}

type broken struct{ net.Listener }

func (b broken) Accept() (net.Conn, error) {
	panic("a bug")
}
