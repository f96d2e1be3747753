package metrics

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/meshpass/meshpass/internal/logonce"
	"github.com/meshpass/meshpass/plugins/identity/metrics/promtext"
	"github.com/meshpass/meshpass/plugins/identity/panics"
)

// Server serves the metrics at the address that the configuration names, and follows it when it
// changes. Its failures do not stop the signing of tokens.
type Server struct {
	Address    func() string // IP:PORT; "": nowhere
	Text       func() []byte
	CountPanic func(goroutine string)
	Goroutine  string // its name in logs and metrics
	Log        *slog.Logger

	// Only Follow uses these.
	serving *startedServer // nil: no address is served
	faults  logonce.Messages
}

// startedServer is an HTTP server that was started; ended is closed when it has stopped serving.
type startedServer struct {
	http.Server
	ended chan struct{}
}

// Follow brings the server to the address. A port that is taken is tried again at each call, and logged
// once.
func (s *Server) Follow() {
	address := s.Address()
	if s.serving != nil && s.serving.Addr == address && !s.serving.hasEnded() {
		return
	}
	s.stopServing()
	if address == "" {
		return
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		if s.faults.IsNew("listen", err.Error()) {
			s.Log.Error("metrics cannot be served at this address; it is tried again, and tokens are signed all the same", "metrics", address, "error", err.Error())
		}
		return
	}
	s.faults.IsNew("listen", "")
	s.Log.Info("metrics are served", "metrics", address)
	s.startServing(address, listener)
}

func (s *Server) startServing(address string, listener net.Listener) {
	started := &startedServer{ended: make(chan struct{}), Server: http.Server{
		Addr: address, Handler: s.handler(), MaxHeaderBytes: 1 << 13,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}}
	s.serving = started
	go func() {
		defer close(started.ended) // after a panic was counted
		s.newTask(func() {
			if err := started.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				s.Log.Error("the metrics' server ended; it is started again", "metrics", address, "error", err.Error())
			}
		}).Run()
	}()
}

// stopServing ends scrapes that are in progress: the next one goes to the new address.
func (s *Server) stopServing() {
	if s.serving == nil {
		return
	}
	_ = s.serving.Close() // the listener is closed in any case
	<-s.serving.ended     // before that, its port may still be taken
	s.serving = nil
}

func (s *startedServer) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(rw http.ResponseWriter, _ *http.Request) {
		var text []byte
		if !s.newTask(func() { text = s.Text() }).Run() {
			http.Error(rw, "the metrics cannot be written; the gateway's log says why", http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", promtext.ContentType)
		_, _ = rw.Write(text) // an error means that the scraper has gone
	})
	return mux
}

func (s *Server) newTask(step func()) panics.Task {
	return panics.Task{Name: s.Goroutine, Step: step, Count: s.CountPanic, Log: s.Log}
}
