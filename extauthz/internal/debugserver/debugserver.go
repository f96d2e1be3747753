// Package debugserver is the HTTP listener for people who look into a running
// authorizer: profiles, state and the log level.
//
// A heap profile or a trace can show what the process holds, so the listener
// exists on a loopback address only. `kubectl port-forward` reaches it.
package debugserver

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// maxLevelTime bounds how long a temporary log level lasts.
const maxLevelTime = 24 * time.Hour

// CheckAddress rejects every address but loopback ones.
func CheckAddress(address netip.AddrPort) error {
	if !address.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%s is no loopback address: profiles show what the process holds; write 127.0.0.1:%d and use kubectl port-forward", address, address.Port())
	}
	return nil
}

// New returns the handler. state is the report that /debug/state shows as JSON.
//
//	GET /debug/pprof/...                         profiles, as net/http/pprof serves them
//	GET /debug/state                             the state of all sources, as JSON
//	GET /debug/log-level                         {"level": "INFO"}
//	PUT /debug/log-level?level=debug&for=15m     sets the level; without `for` until the next change or restart
func New(state func() any, level *Level) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, state()) })
	mux.HandleFunc("GET /debug/log-level", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, level.status()) })
	mux.HandleFunc("PUT /debug/log-level", level.serveChange)
	return requireLoopbackHost(mux)
}

// requireLoopbackHost denies requests for another host name: a web page cannot
// reach the listener through a name of its own that resolves to 127.0.0.1.
func requireLoopbackHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if address, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !address.IsLoopback()) {
			http.Error(w, "the debug listener answers requests for 127.0.0.1, [::1] and localhost only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Level is a log level that can change while the process runs.
type Level struct {
	slog.LevelVar
	log   *slog.Logger
	mu    sync.Mutex
	reset *time.Timer // ends a temporary level; nil: absent
	until time.Time
	start slog.Level
}

// NewLevel starts with the level that a temporary one returns to.
func NewLevel(start slog.Level) *Level {
	l := &Level{start: start, log: slog.New(slog.DiscardHandler)}
	l.LevelVar.Set(start)
	return l
}

// LogChanges has each change logged.
func (l *Level) LogChanges(log *slog.Logger) { l.log = log }

type levelStatus struct {
	Level string     `json:"level"`
	Until *time.Time `json:"until,omitempty"` // when a temporary level ends
}

func (l *Level) status() levelStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := levelStatus{Level: l.LevelVar.Level().String()}
	if l.reset != nil {
		until := l.until
		s.Until = &until
	}
	return s
}

// Describe names for people the level that is active, and until when.
func (l *Level) Describe() string {
	s := l.status()
	if s.Until == nil {
		return s.Level
	}
	return s.Level + " until " + s.Until.UTC().Format(time.RFC3339)
}

func (l *Level) serveChange(w http.ResponseWriter, r *http.Request) {
	level, lasting, err := parseChange(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.change(level, lasting)
	writeJSON(w, l.status())
}

// ParseLevel reads debug, info, warn or error, in any case.
func ParseLevel(name string) (slog.Level, error) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		var l slog.Level
		if err := l.UnmarshalText([]byte(name)); err == nil && l == level {
			return level, nil
		}
	}
	return 0, fmt.Errorf("level %q: want debug, info, warn or error", name)
}

// parseChange rejects a parameter that it does not know: a mistyped one would make the change last.
func parseChange(query url.Values) (slog.Level, time.Duration, error) {
	for name, values := range query {
		if name != "level" && name != "for" || len(values) > 1 {
			return 0, 0, fmt.Errorf("parameter %q: want level and, for a change that ends, for, each once", name)
		}
	}
	lasting := query.Get("for")
	level, err := ParseLevel(query.Get("level"))
	if err != nil || lasting == "" {
		return level, 0, err
	}
	d, err := time.ParseDuration(lasting)
	if err != nil || d <= 0 || d > maxLevelTime {
		return 0, 0, fmt.Errorf("for=%q: want a duration such as 15m, at most %s", lasting, maxLevelTime)
	}
	return level, d, nil
}

// change sets the level; lasting 0 means until the next change.
func (l *Level) change(level slog.Level, lasting time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reset != nil {
		l.reset.Stop()
		l.reset = nil
	}
	l.LevelVar.Set(level)
	l.log.Log(context.Background(), max(slog.LevelWarn, level), "the log level changes", "level", level.String(), "for", lasting.String())
	if lasting == 0 {
		return
	}
	l.until = time.Now().Add(lasting)
	var reset *time.Timer
	reset = time.AfterFunc(lasting, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.reset != reset { // a later change replaced it
			return
		}
		l.reset = nil
		l.LevelVar.Set(l.start)
		l.log.Warn("the log level is back", "level", l.start.String())
	})
	l.reset = reset
}

func writeJSON(w http.ResponseWriter, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(data, '\n'))
}
