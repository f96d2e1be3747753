package jwks

import (
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/tokentest"
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

func TestURLs(t *testing.T) {
	for _, row := range []struct {
		url   string
		plain bool
		want  string
	}{
		{"https://tyk.example.com/jwks.json", false, ""},
		{"http://127.0.0.1:9090/jwks.json", true, ""},
		{"http://127.0.0.1:9090/jwks.json", false, "plain http lets"},
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
