package jwks

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/tokentest"
)

func TestTLS(t *testing.T) {
	good, kid := set(t)
	server := httptest.NewTLSServer(text(good))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write := func(data []byte) {
		if err := os.WriteFile(ca, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	f := follow(t, Config{URL: server.URL, CAFile: ca})
	for _, row := range []struct {
		name, problem string
		ca            []byte
	}{
		{"no CA in the file", "no certificate in PEM", tokentest.JWKS(t)},
		{"renewed", "", own},
	} {
		write(row.ca)
		f.Fetch(t.Context())
		if (f.kid() == kid) != (row.problem == "") || row.problem != "" && !strings.Contains(fmt.Sprint(f.State().Err), row.problem) {
			t.Errorf("%s: got %q, %v", row.name, f.kid(), f.State().Err)
		}
	}
	byTheSystem := follow(t, Config{URL: server.URL})
	byTheSystem.Fetch(t.Context())
	if err := byTheSystem.State().Err; byTheSystem.kid() != "" || err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("another CA: got %q, %v", byTheSystem.kid(), err)
	}
}

// A server that compresses unless it is asked not to sends the set as it is, and one
// that names the coding "identity" has not changed it (RFC 9110 section 8.4.1).
func TestContentCodings(t *testing.T) {
	good, kid := set(t)
	for name, answer := range map[string]http.HandlerFunc{
		"compresses by default": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("accept-encoding") != "identity" {
				bomb(w, r)
				return
			}
			fmt.Fprint(w, good)
		},
		"names identity":         coded(good, "identity"),
		"in other letters":       coded(good, "Identity"),
		"several, in one header": coded(good, " identity ,, identity"),
		"in several headers":     coded(good, "identity", "identity"),
		"an empty header":        coded(good, ""),
	} {
		f := follow(t, Config{URL: newServer(t, answer).URL})
		f.Fetch(t.Context())
		if f.kid() != kid {
			t.Errorf("%s: %v", name, f.State().Err)
		}
	}
}

func TestURLs(t *testing.T) {
	for _, row := range []struct {
		url   string
		plain bool
		want  string
	}{
		{"https://tyk.example.com/jwks.json", false, ""},
		{"http://127.0.0.1:9090/jwks.json", true, ""},
		{"http://127.0.0.1:9090/jwks.json", false, "with plain http, anyone"},
		{"tyk.example.com/jwks.json", true, "not an absolute URL"},
		{"https:jwks.json", true, "not an absolute URL"},
		{"file:///etc/jwks.json", true, "not an absolute URL"},
		{"ftp://tyk.example.com/jwks.json", true, `scheme "ftp"`},
		{"https://a:b@tyk.example.com/", true, "a URL with a user"},
	} {
		err := CheckURL(row.url, row.plain)
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v", row.url, err)
		}
	}
}
