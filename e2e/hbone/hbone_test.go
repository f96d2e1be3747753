package hbone_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/hbone"
)

// peer starts a server for tunnels. It greets with the authority and echoes lines. It refuses port
// 403, panics for port 499, which closes the connection, and does not answer for port 504.
func peer(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodConnect || r.ProtoMajor != 2 || r.Host == "10.0.0.1:403":
			w.WriteHeader(http.StatusForbidden)
			return
		case r.Host == "10.0.0.1:499":
			panic(http.ErrAbortHandler)
		case r.Host == "10.0.0.1:504":
			<-r.Context().Done()
			return
		}
		flush := http.NewResponseController(w).Flush
		fmt.Fprintln(w, r.Host)
		_ = flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			fmt.Fprintln(w, lines.Text())
			_ = flush()
		}
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func dialer() *hbone.Dialer { return hbone.NewDialer(&tls.Config{InsecureSkipVerify: true}) }

func TestDial(t *testing.T) {
	conn, err := dialer().Dial(t.Context(), peer(t), "10.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	for i, want := range []string{"10.0.0.1:8080", "one", "two"} {
		if i > 0 {
			fmt.Fprintln(conn, want)
		}
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("got %q, %v; want %q", lines.Text(), lines.Err(), want)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writing after the end: %v", err)
	}
}

// A peer that refuses a tunnel and one that cannot be reached are different errors.
func TestRefusals(t *testing.T) {
	at := peer(t)
	for name, row := range map[string]struct {
		peer, authority string
		refused         bool
	}{
		"answers so":        {at, "10.0.0.1:403", true},
		"hangs up":          {at, "10.0.0.1:499", true},
		"nobody is there":   {unused(t), "10.0.0.1:8080", false},
		"no peer's address": {"orders", "10.0.0.1:8080", false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dialer().Dial(t.Context(), row.peer, row.authority)
			if err == nil || errors.Is(err, hbone.ErrRefused) != row.refused {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A peer that hangs has not said no.
func TestDialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := dialer().Dial(ctx, peer(t), "10.0.0.1:504")
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, hbone.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestProxyKnowsItsServicesAlone(t *testing.T) {
	proxy := hbone.NewProxy(dialer(), peer(t), map[string]string{"orders.shop.svc.cluster.local": "10.0.0.1"})
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	via, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(via)}}
	for target, want := range map[string]string{
		"http://ledger.shop.svc.cluster.local:8080/": "no service is called \"ledger.shop.svc.cluster.local\"\n",
		"http://orders.shop.svc.cluster.local:403/":  "the peer did not open the tunnel: 403 Forbidden\n",
	} {
		response, err := client.Get(target)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusBadGateway || string(body) != want {
			t.Errorf("%s: %s %q, want %q", target, response.Status, body, want)
		}
	}
}

// unused gives an address without a listener.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
