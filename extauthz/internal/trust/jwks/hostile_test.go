package jwks

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// For any behaviour of a server, the last good set stays active, the reason is logged and
// counted, and the next good answer is used.
func TestHostileServers(t *testing.T) {
	good, kid := set(t)
	elsewhere, _ := set(t)
	other := newServer(t, text(elsewhere))
	released := make(chan struct{})
	t.Cleanup(func() { close(released) })
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-released:
		case <-r.Context().Done():
		}
	}
	member := strings.TrimSpace(good[strings.Index(good, "[")+1 : strings.LastIndex(good, "]")])
	keys := func(members ...string) http.HandlerFunc {
		return text(`{"keys": [` + strings.Join(members, ",") + `]}`)
	}
	const hanging, dripping = "hangs", "drips"
	for _, row := range []struct {
		name    string
		answer  http.HandlerFunc
		problem string
		refused bool
	}{
		{hanging, hang, "Client.Timeout exceeded", false},
		{dripping, drip, "Client.Timeout", false},
		{"no answer at all", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", false},
		{"cut off", cutOff(good), "unexpected EOF", false},
		{"status 500", status(500), "status 500", false},
		{"status 404 with a set", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); fmt.Fprint(w, elsewhere) }, "status 404", false},
		{"304 to no question", status(304), "status 304", false},
		{"redirect to another host", redirect(other.URL), "redirect to another host", false},
		{"redirect in a circle", redirect("/again"), "too many redirects", false},
		{"gzip bomb", bomb, `content coding "gzip"`, false},
		{"gzip behind identity", coded(elsewhere, "identity, gzip"), `content coding "gzip"`, false},
		{"gzip in a second header", coded(elsewhere, "identity", "GZIP"), `content coding "GZIP"`, false},
		{"a coding of object stores", coded(elsewhere, "aws-chunked"), `content coding "aws-chunked"`, false},
		{"endless", endless, "larger than 262144 bytes", true},
		{"endless header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("x", strings.Repeat("x", 1<<20)) }, "headers exceeded", false},
		{"10000 keys", keys(strings.Split(strings.Repeat("{} ", 9999)+"{}", " ")...), "more than 100 keys", true},
		{"a page", text("<html>sign in</html>"), "not a JSON object", true},
		{"empty", text(""), "not a JSON object", true},
		{"no keys", keys(), "no keys", true},
		{"twice", keys(member, member), "the same key twice", true},
		{"malformed", keys(member, "{}"), "key 2: ", true},
		{"only kinds that are unknown", keys(`{"kty": "AKP"}`), "no usable key", true},
		{"keys in other letters", text(`{"Keys": [` + member + `]}`), `write "keys"`, true},
		{"private", keys(strings.Replace(member, "{", `{"d": "AAAA",`, 1)), "a private key", true},
		{"symmetric", keys(member, `{"kty": "oct", "k": "AAAA"}`), "a symmetric key", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			server := newServer(t, text(good))
			f := follow(t, Config{URL: server.URL})
			f.Fetch(t.Context())
			before := f.State()
			server.answers(row.answer)
			if row.name == hanging || row.name == dripping {
				f.bounds.timeout = 300 * time.Millisecond
			}
			f.Fetch(t.Context())
			f.Fetch(t.Context())
			after := f.State()
			if f.kid() != kid || !after.Fetched.Equal(before.Fetched) {
				t.Errorf("got %s of %s", f.kid(), after.Fetched)
			}
			if !strings.Contains(fmt.Sprint(after.Err), row.problem) {
				t.Errorf("got %v, want %s", after.Err, row.problem)
			}
			if row.refused && (after.Rejected != 2 || after.Unreachable != 0) || !row.refused && (after.Rejected != 0 || after.Unreachable != 2) {
				t.Errorf("counted: %d refused, %d unreachable", after.Rejected, after.Unreachable)
			}
			f.bounds.timeout = defaultBounds.timeout
			server.answers(text(good))
			f.Fetch(t.Context())
			if f.State().Err != nil || f.changes.Load() != 1 {
				t.Errorf("after a good answer: %v, %d changes", f.State().Err, f.changes.Load())
			}
		})
	}
	if other.asked.Load() != 0 {
		t.Error("the other host was asked")
	}
}

func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		fmt.Fprint(w, " ")
		w.(http.Flusher).Flush()
		time.Sleep(5 * time.Millisecond) // how slow it is, not what is waited for
	}
}

func cutOff(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-length", fmt.Sprint(len(body)))
		fmt.Fprint(w, body[:len(body)/2])
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

func endless(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, strings.Repeat(" ", 64<<10)); err != nil {
			return
		}
	}
}

func coded(body string, codings ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Encoding"] = codings
		fmt.Fprint(w, body)
	}
}

func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("content-encoding", "gzip")
	w.(http.Flusher).Flush() // before the first byte is compressed
	zip := gzip.NewWriter(w)
	for range 64 {
		if _, err := zip.Write(make([]byte, 1<<20)); err != nil {
			return
		}
	}
	zip.Close()
}

// A set that the hook rejects counts as rejected, like a malformed one.
func TestASetThatIsNotAccepted(t *testing.T) {
	good, kid := set(t)
	other, _ := set(t)
	server := newServer(t, text(good))
	f := follow(t, Config{URL: server.URL})
	f.Fetch(t.Context())
	f.accept = errors.New("a key of another issuer")
	server.answers(text(other))
	f.Fetch(t.Context())
	if got := f.State(); f.kid() != kid || got.Rejected != 1 || got.Err == nil || got.Err.Error() != f.accept.Error() {
		t.Errorf("got %s, %+v", f.kid(), got)
	}
}

// A redirect on the same host is followed. A server that comes and goes is logged when
// that changes, and no more often.
func TestFlapping(t *testing.T) {
	good, kid := set(t)
	server := newServer(t, nil)
	f := follow(t, Config{URL: server.URL + "/keys"})
	for range 3 {
		server.answers(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				http.Redirect(w, r, "/v2/keys", http.StatusFound)
				return
			}
			fmt.Fprint(w, good)
		})
		f.Fetch(t.Context())
		if f.kid() != kid || f.State().Err != nil {
			t.Fatalf("got %s, %v", f.kid(), f.State().Err)
		}
		server.answers(status(http.StatusServiceUnavailable))
		for range 5 {
			f.Fetch(t.Context())
		}
	}
	if lines := strings.Count(f.log.String(), "level=ERROR"); lines != 3 {
		t.Errorf("%d lines:\n%s", lines, f.log.String())
	}
	if got := f.State(); got.Unreachable != 15 || f.changes.Load() != 1 {
		t.Errorf("got %+v, %d changes", got, f.changes.Load())
	}
}
