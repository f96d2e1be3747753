package forward_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/forward"
)

// chain is a service that calls another one for each request, and returns the token headers
// of that call.
func chain(t *testing.T, prepare func(*http.Request)) *httptest.Server {
	t.Helper()
	inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Join(r.Header.Values("Txn-Token"), "|"))
	}))
	t.Cleanup(inner.Close)
	client := &http.Client{Transport: &forward.Transport{Inside: forward.MustParseHosts("127.0.0.1")}}
	outer := httptest.NewServer(forward.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), http.MethodGet, inner.URL, nil)
		if err != nil {
			t.Error(err)
			return
		}
		prepare(out)
		before := out.Header.Clone()
		response, err := client.Do(out)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		if !maps.EqualFunc(before, out.Header, slices.Equal) {
			t.Errorf("the caller's request was changed: %v", out.Header)
		}
		io.Copy(w, response.Body)
	})))
	t.Cleanup(outer.Close)
	return outer
}

func TestTheTokenIsPassedOnUnchanged(t *testing.T) {
	for _, row := range []struct {
		name     string
		incoming []string
		prepare  func(*http.Request)
		want     string
	}{
		{"one", []string{"a.b.c"}, nil, "a.b.c"},
		{"none", nil, nil, ""},
		{"empty", []string{""}, nil, ""},
		{"two", []string{"a.b.c", "d.e.f"}, nil, ""},
		{"never a second one", []string{"a.b.c"}, func(r *http.Request) { r.Header.Add("Txn-Token", "other") }, "a.b.c"},
		{"none of the service's own making", nil, func(r *http.Request) { r.Header.Set("Txn-Token", "other") }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.prepare == nil {
				row.prepare = func(*http.Request) {}
			}
			request, err := http.NewRequest(http.MethodGet, chain(t, row.prepare).URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header["Txn-Token"] = row.incoming
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || string(body) != row.want {
				t.Errorf("got %q, %v; want %q", body, err, row.want)
			}
		})
	}
}

// No reserved header leaves the mesh, if a service calls out, follows a redirect out, or copies all headers.
func TestNothingOfOursLeavesTheMesh(t *testing.T) {
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "Txn") || strings.HasPrefix(name, "X") {
				t.Errorf("%s left the mesh", name)
			}
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer outside.Close()
	away := strings.Replace(outside.URL, "127.0.0.1", "localhost", 1)
	inside := httptest.NewServer(http.RedirectHandler(away, http.StatusTemporaryRedirect))
	defer inside.Close()
	client := &http.Client{Transport: &forward.Transport{Inside: forward.MustParseHosts("127.0.0.1")}}
	for name, url := range map[string]string{"called": away, "redirected": inside.URL} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(forward.Remember(context.Background(), []string{"a.b.c"}), http.MethodGet, url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"Txn-Token": {"other"}, "X-Meshpass-User": {"demo:alice"}, "X_meshpass_user": {"demo:alice"}, "X.Meshpass.User": {"demo:alice"}, "X~Meshpass~User": {"demo:alice"}, "Txn.Token": {"other"}}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusTeapot {
				t.Errorf("got %d: the request did not get there", response.StatusCode)
			}
		})
	}
}

func TestATransportThatKnowsNoHostPassesNothingOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Txn-Token"))
	}))
	defer server.Close()
	request, err := http.NewRequestWithContext(forward.Remember(context.Background(), []string{"a.b.c"}), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &forward.Transport{}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); len(body) != 0 {
		t.Errorf("passed on: %q", body)
	}
}

// recorded is what a request was sent with.
type recorded struct {
	host, target string
	token        []string
	header       http.Header
	trailer      http.Header
}

// sent sends a request through a [forward.Transport] with 127.0.0.1 inside, and returns the request that arrived.
func sent(t *testing.T, prepare func(*http.Request)) recorded {
	t.Helper()
	var got recorded
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got = recorded{host: r.Host, target: r.RequestURI, token: r.Header.Values("Txn-Token"), header: r.Header, trailer: r.Trailer}
	}))
	defer server.Close()
	ctx := forward.Remember(context.Background(), []string{"a.b.c"})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/x", io.NopCloser(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	prepare(request)
	client := &http.Client{Transport: &forward.Transport{Inside: forward.MustParseHosts("127.0.0.1", "*.svc.cluster.local")}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return got
}

// A request can name a host in several places: the address of the connection, the Host header, which sidecars and
// proxies route by, and an opaque URL. If one of them is outside, no token is sent.
func TestEveryPlaceThatNamesAHost(t *testing.T) {
	for _, row := range []struct {
		name    string
		prepare func(*http.Request)
		token   bool
	}{
		{"the address", func(*http.Request) {}, true},
		{"no Host", func(r *http.Request) { r.Host = "" }, true},
		{"a Host inside", func(r *http.Request) { r.Host = "orders.shop.svc.cluster.local:8080" }, true},
		{"a Host outside", func(r *http.Request) { r.Host = "evil.example" }, false},
		{"a Host that two parsers read differently", func(r *http.Request) { r.Host = "evil.example\\@orders.shop.svc.cluster.local" }, false},
		{"a Host with a user", func(r *http.Request) { r.Host = "evil.example@orders.shop.svc.cluster.local" }, false},
		{"an opaque URL that names another host", func(r *http.Request) { r.URL.Opaque = "//evil.example/x" }, false},
		{"a user", func(r *http.Request) { r.URL.User = url.User("evil.example") }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := sent(t, row.prepare)
			if slices.Equal(got.token, []string{"a.b.c"}) != row.token || !row.token && len(got.token) > 0 {
				t.Errorf("arrived at host %q, target %q, with token %q", got.host, got.target, got.token)
			}
		})
	}
}

// Trailers leave as headers do: without ours. Those of others keep the values that they get while the
// body is sent.
func TestTrailers(t *testing.T) {
	for name, ours := range map[string]bool{"of others": false, "with ours": true} {
		t.Run(name, func(t *testing.T) {
			got := sent(t, func(r *http.Request) {
				r.Trailer = http.Header{"Checksum": nil}
				if ours {
					r.Trailer = http.Header{"Checksum": {"1"}, "Txn-Token": {"x"}, "X.meshpass.user": {"y"}}
					return
				}
				trailer := r.Trailer
				r.Body = readThen{r.Body, func() { trailer.Set("Checksum", "1") }}
			})
			if !maps.EqualFunc(got.trailer, http.Header{"Checksum": {"1"}}, slices.Equal) {
				t.Errorf("got %v", got.trailer)
			}
		})
	}
}

// readThen calls a function at the end of a body.
type readThen struct {
	io.ReadCloser
	atEnd func()
}

func (r readThen) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err == io.EOF {
		r.atEnd()
	}
	return n, err
}
