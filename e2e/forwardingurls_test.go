package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

// hostileURLs are read in two ways by one or another parser. EVIL is an address outside the mesh.
var hostileURLs = []string{
	`http://EVIL\@orders.shop.svc.cluster.local/`, `http://EVIL\\@orders.shop.svc.cluster.local/`, `http://EVIL/\@orders.shop.svc.cluster.local/`,
	`http://EVIL\.orders.shop.svc.cluster.local/`, `http://EVIL%5C@orders.shop.svc.cluster.local/`, `http://EVIL%2F@orders.shop.svc.cluster.local/`,
	`http:\\EVIL\@orders.shop.svc.cluster.local/`, `http:/\EVIL/@orders.shop.svc.cluster.local/`, `http:EVIL/.svc.cluster.local`, `http:///EVIL/.svc.cluster.local/`,
	`http://EVIL#@orders.shop.svc.cluster.local/`, `http://EVIL?@orders.shop.svc.cluster.local/`, `http://EVIL/@orders.shop.svc.cluster.local/`,
	`http://EVIL;@orders.shop.svc.cluster.local/`, `http://EVIL&@orders.shop.svc.cluster.local/`, `http://EVIL/.svc.cluster.local/`,
	`http://orders.shop.svc.cluster.local@EVIL/`, `http://orders.shop.svc.cluster.local:80@EVIL/`, `http://orders.shop.svc.cluster.local:PORT\@EVIL/`,
	`http://a@orders.shop.svc.cluster.local:PORT@EVIL/`, `http://EVIL@orders.shop.svc.cluster.local:PORT@EVIL/`, `http://orders.shop.svc.cluster.local#@EVIL/`,
	`http://orders.shop.svc.cluster.local?@EVIL/`, `http://orders.shop.svc.cluster.local%00.EVIL/`, `http://orders.shop.svc.cluster.local.evil.example:PORT/`,
	"http://EVIL\t@orders.shop.svc.cluster.local/", "http://EVIL @orders.shop.svc.cluster.local/", "http://EVIL\n@orders.shop.svc.cluster.local/",
	"http://EVIL\r\n@orders.shop.svc.cluster.local/", "http://EVIL\x00@orders.shop.svc.cluster.local/", " http://EVIL/.svc.cluster.local/", "\thttp://EVIL\\@a.svc.cluster.local/",
	"http://EVIL\u2044.svc.cluster.local/", "http://EVIL\uff0f.svc.cluster.local/", "http://evil.example\u3002svc.cluster.local:PORT/", "http://evil.example\uff20a.svc.cluster.local:PORT/",
	"http://a.\u017fvc.cluster.local:PORT/", "http://evil.example:PORT/#.svc.cluster.local/", "http://[::ffff:127.0.0.2]:PORT/.svc.cluster.local",
	"http://evil.example:PORT:80/.svc.cluster.local/", "http://svc.cluster.local:PORT/", "ftp://orders.shop.svc.cluster.local/", "//orders.shop.svc.cluster.local/",
}

// arrived is what a server was sent: by which client, for which path, and which of our headers.
type arrived struct {
	client, path, host string
	token              string
	ours               []string
}

// recorder notes what arrives at an address of loopback.
type recorder struct {
	lock sync.Mutex
	seen []arrived
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	a := arrived{client: q.Header.Get("X-Client"), path: q.URL.Path, host: q.Host, token: q.Header.Get("Txn-Token")}
	for name := range q.Header {
		if identity.IsReservedHeader(name) {
			a.ours = append(a.ours, name)
		}
	}
	r.lock.Lock()
	r.seen = append(r.seen, a)
	r.lock.Unlock()
	if to := q.URL.Query().Get("redirect"); to != "" {
		http.Redirect(w, q, to, http.StatusFound)
	}
}

// serveOn serves a recorder at an address.
func serveOn(t *testing.T, address string) (*recorder, net.Addr) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: r}}
	server.Start()
	t.Cleanup(server.Close)
	return r, listener.Addr()
}

// The pieces of docs/forwarding.md, with the clients for which they are written: whatever a URL looks
// like, nothing of ours arrives outside the mesh.
func TestURLsThatParsersReadDifferently(t *testing.T) {
	for _, row := range []struct {
		language, program, interpreter, needs string
		modules, clients                      []string
		probe                                 []string
	}{
		{"js", "urls.mjs", "node", "nodejs", []string{"forwarding.mjs"}, []string{"fetch", "http"}, []string{"-e", ""}},
		{"python", "urls.py", "python3", "python3-requests", []string{"forwarding.py", "forwarding_requests.py"}, []string{"urllib", "requests"}, []string{"-c", "import requests"}},
	} {
		t.Run(row.language, func(t *testing.T) {
			if exec.Command(row.interpreter, row.probe...).Run() != nil {
				t.Skipf("NOT RUN: URLs that parsers read differently, in the document's %s: needs %s", row.language, row.needs)
			}
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "forwarding"))); err != nil {
				t.Fatal(err)
			}
			writeBlocks(t, dir, row.language, row.modules...)
			inside, address := serveOn(t, "127.0.0.1:0")
			_, port, err := net.SplitHostPort(address.String())
			if err != nil {
				t.Fatal(err)
			}
			outside, _ := serveOn(t, "127.0.0.2:"+port)
			cmd := exec.CommandContext(t.Context(), row.interpreter, filepath.Join(dir, row.program), "127.0.0.1", "127.0.0.2")
			cmd.Stdin = strings.NewReader(cases(port))
			output, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, output)
			}

			reached := map[string]int{}
			for _, a := range outside.seen {
				reached[a.client]++
				if len(a.ours) > 0 {
					t.Errorf("%s: %s arrived outside the mesh, at %s%s", a.client, a.ours, a.host, a.path)
				}
			}
			got := map[string]string{}
			for _, a := range inside.seen {
				got[a.client+" "+a.path] = a.token + strings.Join(a.ours, " ")
			}
			for _, client := range row.clients {
				if reached[client] < 5 {
					t.Errorf("%s: only %d requests arrived outside, so that this test shows little:\n%s", client, reached[client], output)
				}
				for path, want := range map[string]string{"/good": "a.b.cTxn-Token", "/user": "a.b.cTxn-Token", "/elsewhere": "", "/away": "a.b.cTxn-Token"} {
					if value, ok := got[client+" "+path]; !ok || value != want {
						t.Errorf("%s: %s inside: got %q (%t), want %q\n%s", client, path, value, ok, want, output)
					}
				}
			}
		})
	}
}

// cases are one line of JSON each: good URLs, one with headers of the service's own making, one with a
// Host outside, one that redirects there, and all hostile ones.
func cases(port string) string {
	var lines strings.Builder
	add := func(url string, headers map[string]string) {
		line, _ := json.Marshal(map[string]any{"url": url, "headers": headers}) // texts are always written
		fmt.Fprintf(&lines, "%s\n", line)
	}
	orders := "http://orders.shop.svc.cluster.local:" + port
	add(orders+"/good?a=@b", map[string]string{})
	add(orders+"/user", map[string]string{"X-Meshpass-User": "root", "X.Meshpass.User": "root", "txn-token": "x", "TXN~TOKEN": "x"})
	add(orders+"/elsewhere", map[string]string{"Host": "evil.example"})
	add(orders+"/away?redirect=http://evil.example:"+port+"/stolen", map[string]string{})
	for _, url := range hostileURLs {
		url = strings.ReplaceAll(strings.ReplaceAll(url, "EVIL", "127.0.0.2:PORT"), "PORT", port)
		add(url, map[string]string{"X-Meshpass-User": "root"})
	}
	return lines.String()
}
