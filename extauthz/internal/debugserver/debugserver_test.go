package debugserver

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:9091":          "",
		"[::1]:9091":              "",
		"[::ffff:127.0.0.1]:9091": "",
		"0.0.0.0:9091":            "0.0.0.0:9091 is no loopback address: profiles show what the process holds; write 127.0.0.1:9091 and use kubectl port-forward",
		"[::]:9091":               "[::]:9091 is no loopback address: profiles show what the process holds; write 127.0.0.1:9091 and use kubectl port-forward",
		"10.0.0.1:9091":           "10.0.0.1:9091 is no loopback address: profiles show what the process holds; write 127.0.0.1:9091 and use kubectl port-forward",
	} {
		got := ""
		if err := CheckAddress(netip.MustParseAddrPort(address)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}

func request(t *testing.T, h http.Handler, method, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestPaths(t *testing.T) {
	h := New(func() any { return map[string]int{"checks": 3} }, NewLevel(slog.LevelInfo))
	for _, c := range []struct {
		method, target string
		code           int
		body           string // a part of it
	}{
		{"GET", "http://127.0.0.1:9091/debug/state", 200, `"checks": 3`},
		{"GET", "http://[::1]:9091/debug/log-level", 200, `"level": "INFO"`},
		{"GET", "http://localhost/debug/pprof/", 200, "goroutine"},
		{"GET", "http://127.0.0.1/debug/pprof/heap?debug=1", 200, "heap profile"},
		{"GET", "http://evil.example:9091/debug/state", 403, "only"},
		{"GET", "http://10.0.0.1:9091/debug/state", 403, "only"},
		{"GET", "http://127.0.0.1/", 404, ""},
		{"POST", "http://127.0.0.1/debug/log-level?level=debug", 405, ""},
		{"PUT", "http://127.0.0.1/debug/log-level", 400, `level "": want debug, info, warn or error`},
		{"PUT", "http://127.0.0.1/debug/log-level?level=debug&fro=15m", 400, `parameter "fro": want level and, for a change that ends, for, each once`},
		{"PUT", "http://127.0.0.1/debug/log-level?level=debug&level=info", 400, `parameter "level": want level and, for a change that ends, for, each once`},
		{"PUT", "http://127.0.0.1/debug/log-level?level=info%2B1", 400, `level "info+1": want debug, info, warn or error`},
		{"PUT", "http://127.0.0.1/debug/log-level?level=debug&for=-1s", 400, `for="-1s": want a duration such as 15m, at most 24h0m0s`},
		{"PUT", "http://127.0.0.1/debug/log-level?level=debug&for=25h", 400, `for="25h": want`},
		{"PUT", "http://127.0.0.1/debug/log-level?level=DEBUG", 200, `"level": "DEBUG"`},
	} {
		code, body := request(t, h, c.method, c.target)
		if code != c.code || !strings.Contains(body, c.body) {
			t.Errorf("%s %s: got %d %q, want %d %q", c.method, c.target, code, body, c.code, c.body)
		}
	}
}

// A temporary level ends, a later change replaces it, and each change is logged at any level.
func TestATemporaryLevelEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		level := NewLevel(slog.LevelInfo)
		var lines strings.Builder
		level.LogChanges(slog.New(slog.NewTextHandler(&lines, nil)))
		h := New(nil, level)
		for _, step := range []struct {
			query string // empty: none
			wait  time.Duration
			want  slog.Level
		}{
			{"level=debug&for=15m", 15*time.Minute - 1, slog.LevelDebug},
			{"", 1, slog.LevelInfo},
			{"level=error&for=1m", 30 * time.Second, slog.LevelError},
			{"level=debug", time.Hour, slog.LevelDebug},
		} {
			if step.query != "" {
				if code, body := request(t, h, "PUT", "http://127.0.0.1/debug/log-level?"+step.query); code != 200 {
					t.Fatal(code, body)
				}
			}
			time.Sleep(step.wait)
			synctest.Wait()
			if got := level.Level(); got != step.want {
				t.Errorf("%q and %s: %s, want %s", step.query, step.wait, got, step.want)
			}
		}
		if got := strings.Count(lines.String(), "\n"); got != 4 {
			t.Errorf("%d lines:\n%s", got, lines.String())
		}
	})
}
