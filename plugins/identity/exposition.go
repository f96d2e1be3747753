package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/promtext"
)

// exposition serves the metrics at the address that the configuration names, if
// any, and follows it. Whatever happens to it, tokens are signed as before.
type exposition struct {
	address func() string // wanted; "": nowhere
	text    func() []byte
	meter   *meter
	log     *slog.Logger

	// Only look uses these.
	serving *server // nil: none
	said    string  // the error that was logged last
}

// server is one that was started; ended is closed when it serves no more.
type server struct {
	http.Server
	ended chan struct{}
}

// look brings the server to where it is wanted. A port that is taken is tried
// again at every look, and told once.
func (e *exposition) look() {
	wanted := e.address()
	if e.serving != nil && e.serving.Addr == wanted && !e.serving.hasEnded() {
		return
	}
	e.stop()
	if wanted == "" {
		return
	}
	listener, err := net.Listen("tcp", wanted)
	if err != nil {
		if err.Error() != e.said {
			e.log.Error("no metrics are served; tokens are signed all the same, and the address is tried again", "metrics", wanted, "error", err.Error())
		}
		e.said = err.Error()
		return
	}
	e.said = ""
	e.log.Info("metrics are served", "metrics", wanted)
	e.start(wanted, listener)
}

func (e *exposition) start(address string, listener net.Listener) {
	s := &server{ended: make(chan struct{}), Server: http.Server{
		Addr: address, Handler: e.handler(), MaxHeaderBytes: 1 << 13,
		ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelWarn),
	}}
	e.serving = s
	go work{metricsGoroutine, func() {
		defer close(s.ended)
		if err := s.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.log.Error("the metrics' server ended; it is started again", "metrics", address, "error", err.Error())
		}
	}, e.meter, e.log}.once()
}

// stop ends scrapes that are under way: the next one asks elsewhere.
func (e *exposition) stop() {
	if e.serving == nil {
		return
	}
	_ = e.serving.Close() // the listener is gone either way
	<-e.serving.ended     // or its port might still be taken
	e.serving = nil
}

func (s *server) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (e *exposition) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(rw http.ResponseWriter, _ *http.Request) {
		var text []byte
		if !(work{metricsGoroutine, func() { text = e.text() }, e.meter, e.log}).once() {
			http.Error(rw, "the metrics cannot be written; the gateway's log says why", http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", promtext.ContentType)
		_, _ = rw.Write(text) // the scraper may have gone: nothing is left to be done
	})
	return mux
}
