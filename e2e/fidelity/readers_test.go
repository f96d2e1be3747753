package fidelity_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/process"
)

// reader is a server behind a workload's Envoy that says which path it reads.
type reader struct {
	name    string
	debian  string // the package that has it; empty: it is part of this test
	program string
	args    []string
	jars    []string // below /usr/share/java
	hosts   []int    // of its addresses
}

var readers = []reader{
	{name: "go", hosts: []int{28}},
	{name: "node", debian: "nodejs", program: "node", args: []string{"node.js"}, hosts: []int{21}},
	{name: "python", debian: "python3", program: "python3", args: []string{"python.py"}, hosts: []int{22}},
	{name: "nginx", debian: "nginx-light", program: "nginx", args: []string{"-p", ".", "-e", "stderr", "-c", "nginx.conf"}, hosts: []int{25, 26}},
	{name: "lighttpd", debian: "lighttpd", program: "lighttpd", args: []string{"-D", "-f", "lighttpd.conf"}, hosts: []int{27}},
	{name: "tomcat", debian: "libtomcat10-embed-java", program: "java", args: []string{"Tomcat.java", "$DIR"}, jars: []string{"tomcat10-embed-core"}, hosts: []int{23}},
	{name: "jetty", debian: "libjetty9-java", program: "java", args: []string{"Jetty.java"}, hosts: []int{24},
		jars: []string{"jetty9-server", "jetty9-http", "jetty9-io", "jetty9-util", "jetty9-util-ajax", "jetty9-servlet", "jetty9-security", "servlet-api"}},
}

// start also waits until it answers.
func (r reader) start(t *testing.T, h *hop) {
	t.Helper()
	args, dir := slices.Clone(r.args), filepath.Join(h.dir, "readers")
	if r.program != "" {
		program, err := exec.LookPath(r.program)
		var jars []string
		for _, jar := range r.jars {
			file := "/usr/share/java/" + jar + ".jar"
			_, missing := os.Stat(file)
			jars, err = append(jars, file), errors.Join(err, missing)
		}
		if err != nil {
			t.Skipf("NOT RUN: what %s reads in paths: needs %s", r.name, r.debian)
		}
		for i := range args {
			args[i] = strings.Replace(args[i], "$DIR", dir, 1)
		}
		if jars != nil {
			args = append([]string{"-XX:TieredStopAtLevel=1", "-Xmx96m", "-cp", strings.Join(jars, ":")}, args...)
		}
		p, err := process.Start(process.Spec{Name: r.name, Path: program, Args: args, Dir: dir, Stderr: "/tmp/paths-" + r.name + ".log"})
		must(t, err)
		stopAtEnd(t, p.Stop)
	}
	for _, address := range r.addresses(h) {
		eventually(t, r.name+" listens", func() bool {
			conn, err := net.Dial("tcp", address)
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
}

func (r reader) addresses(h *hop) []string {
	var all []string
	for _, host := range r.hosts {
		all = append(all, h.net.Addr(host)+":8080")
	}
	return all
}

// read gives the paths that the server's ways to read one give for a request's target. A way that
// refuses the path, or sends the client elsewhere, is not among them.
func (r reader) read(t *testing.T, h *hop, target string) map[string]string {
	t.Helper()
	paths := map[string]string{}
	for _, address := range r.addresses(h) {
		maps.Copy(paths, readAt(t, address, target))
	}
	return paths
}

func readAt(t *testing.T, address, target string) map[string]string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "GET "+target+" HTTP/1.1\r\n"+head("Host: "+ordersHost))
	must(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || reset(err) {
		return nil
	}
	must(t, err)
	body, err := io.ReadAll(response.Body)
	must(t, err)
	if response.StatusCode != http.StatusOK {
		return nil
	}
	paths := map[string]string{}
	for line := range strings.Lines(string(body)) {
		way, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		paths[way] = path
	}
	return paths
}

// serveGo is what Go's ways to read a path say. What nginx sends to it with the path decoded is called
// so. Behind lighttpd it is the FastCGI program, which says what lighttpd reads.
func serveGo(t *testing.T, h *hop) {
	t.Helper()
	ways := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if way := r.Header.Get("X-Way"); way != "" {
			fmt.Fprintf(w, "%s\t%s\n", way, r.URL.Path)
			return
		}
		fmt.Fprintf(w, "go\t%s\ngo, cleaned\t%s\n", r.URL.Path, cleaned(r.URL.Path))
		if again, err := url.Parse(r.URL.Path); err == nil {
			fmt.Fprintf(w, "go, parsed again\t%s\n", again.Path)
		}
	})
	listener, err := net.Listen("tcp", h.net.Addr(28)+":8080")
	must(t, err)
	server := &http.Server{Handler: ways}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })

	gateway, err := net.Listen("tcp", h.net.Addr(29)+":8080")
	must(t, err)
	go func() {
		_ = fcgi.Serve(gateway, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "lighttpd\t%s\n", strings.TrimPrefix(fcgi.ProcessEnv(r)["PATH_TRANSLATED"], "/nonexistent"))
		}))
	}()
	t.Cleanup(func() { gateway.Close() })
}

// cleaned is a path as file servers and routers of Go's read it.
func cleaned(p string) string {
	if strings.HasSuffix(p, "/") && path.Clean(p) != "/" {
		return path.Clean(p) + "/"
	}
	return path.Clean(p)
}

// decidedPath is a spelling, and what was decided on it.
type decidedPath struct {
	sent string
	record
}

// decideAll sends the spellings through the real Envoy and the real authorizer. Those that Envoy
// answers by itself are left out.
func (h *hop) decideAll(t *testing.T, spellings []string) []decidedPath {
	t.Helper()
	for i, sent := range spellings {
		h.one(t, request(sent, fmt.Sprint("X-Request-Id: ", i)))
	}
	h.settle(t)
	records := map[string]record{}
	for _, r := range h.records(t) {
		records[r.RequestID] = r
	}
	faithful(t, maps.Clone(records), h.arrivals())
	var all []decidedPath
	for i, sent := range spellings {
		if r, decided := records[fmt.Sprint(i)]; decided {
			all = append(all, decidedPath{sent, r})
		}
	}
	return all
}

// TestReaders shows that no server behind the Envoy reads another path than the one that was decided:
// what any of them reads otherwise is denied.
func TestReaders(t *testing.T) {
	h := newHop(t)
	dir := filepath.Join(h.dir, "readers")
	must(t, os.MkdirAll(filepath.Join(dir, "tmp"), 0o755))
	must(t, h.net.CopyDir(dir, os.DirFS("testdata/readers")))
	serveGo(t, h)
	decided := h.decideAll(t, append(readerSpellings(), randomTargets(t, 500)...))
	allowed := slices.DeleteFunc(slices.Clone(decided), func(d decidedPath) bool { return d.Decision != "allow" })
	varied(t, len(decided), len(allowed))
	for _, r := range readers {
		t.Run(r.name, func(t *testing.T) {
			r.start(t, h)
			for _, d := range decided {
				for way, got := range r.read(t, h, d.Path) {
					if got != asDecided(d.Path) && d.Reason != "ambiguous_path" {
						t.Errorf("%s: %s reads %q, decided %s, %s", d.sent, way, got, d.Path, d.Reason)
					}
				}
			}
			r.checkMisreadings(t, h)
		})
	}
}

// asDecided is a path as rules compare it: each segment decoded once.
func asDecided(path string) string {
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}

// misreadings are the table of docs/envoy.md: what ways to read a path make of it that differ from
// what would be decided. All of these paths are ambiguous.
var misreadings = map[string]map[string]string{
	"/a%3Bx/b":   {"servlet, decoded first": "/a"},
	"/a/..%3B/b": {"servlet, decoded first": "/"},
	"/a%3Fb/c":   {"go, parsed again": "/a", "node, decoded first": "/a", "python WSGI, parsed again": "/a", "nginx, sent on decoded": "/a"},
	"/a%23b/c":   {"go, parsed again": "/a", "node, decoded first": "/a", "python WSGI, parsed again": "/a"},
	"/a%20":      {"node, decoded first": "/a"},
	"/a%09b":     {"node, decoded first": "/ab", "python WSGI, parsed again": "/ab"},
	"/a/..%2Fb": {
		"go, cleaned": "/b", "node, decoded first": "/b", "python http.server": "/b", "nginx": "/b", "nginx, sent on decoded": "/b", "lighttpd": "/b", "jetty": "/b",
	},
	"/a/..%5Cb": {"node, decoded first": "/b"},
	"/a%252Fb":  {"go, parsed again": "/a/b", "node, decoded first": "/a/b", "nginx, sent on decoded": "/a/b"},
	"//a/b": {
		"go, cleaned": "/a/b", "go, parsed again": "/b", "node URL": "/b", "node, decoded first": "/b", "python WSGI": "/a/b", "python WSGI, parsed again": "/a/b",
		"python http.server": "/a/b", "nginx": "/a/b", "nginx, sent on decoded": "/a/b", "lighttpd": "/a/b", "tomcat": "/a/b",
		"servlet, parameters cut first": "/a/b", "servlet, decoded first": "/a/b",
	},
	"/a/..;/b": {"tomcat": "/b", "servlet, parameters cut first": "/a/../b", "servlet, decoded first": "/"},
	"/a;x/b":   {"tomcat": "/a/b", "jetty": "/a/b", "servlet, parameters cut first": "/a/b", "servlet, decoded first": "/a"},
}

func (r reader) checkMisreadings(t *testing.T, h *hop) {
	t.Helper()
	for path, wanted := range misreadings {
		for way, got := range r.read(t, h, path) {
			want, misread := wanted[way]
			if !misread {
				want = asDecided(path)
			}
			equal(t, path+", "+way, got, want)
		}
	}
}

// readerSpellings are those of the other tests, and every byte, escaped, in each place of a path where
// a server may cut, trim, merge or resolve.
func readerSpellings() []string {
	var all []string
	for _, s := range spellings {
		all = append(all, s.sent)
	}
	escapes := slices.Clone(unicodeEscapes)
	for b := range 0x80 {
		escapes = append(escapes, fmt.Sprintf("%%%02X", b))
	}
	for _, b := range []int{'/', '\\', '.', ';', '?', '#', '%', ' ', 0} {
		escapes = append(escapes, fmt.Sprintf("%%25%02X", b), fmt.Sprintf("%%%02x", b))
	}
	for _, e := range escapes {
		for _, place := range []string{"/aX", "/Xa", "/aXb/c", "/X", "/X/a", "/aX/b", "/a/..X/b", "/a/.X/b", "/a/X../b", "/a/X./b", "/a/..Xx=y/b", "/a/b/..X", "/a/X/b"} {
			all = append(all, strings.ReplaceAll(place, "X", e))
		}
	}
	return all
}

// randomTargets are those of random lines that are one request.
func randomTargets(t *testing.T, n int) []string {
	t.Helper()
	random := seed(t)
	var all []string
	for len(all) < n {
		if target := randomLine(random).target; target != "" && !strings.ContainsAny(target, "\r\n ") {
			all = append(all, target)
		}
	}
	return all
}

// unicodeEscapes are characters that another encoding or a normal form makes separators, dots or
// spaces of: full-width and small forms, leaders, spaces, and truncated code points.
var unicodeEscapes = []string{
	"%C2%80", "%C2%85", "%C2%9F", "%C2%A0", "%E2%80%A8", "%E3%80%80", "%EF%BB%BF", "%E2%80%8B", "%EF%BF%BD",
	"%EF%BC%8F", "%EF%BC%BC", "%EF%BC%8E", "%EF%BC%9B", "%EF%BC%9F", "%EF%BC%83", "%EF%BC%85", "%E2%81%84", "%E2%88%95", "%E2%80%A4", "%E2%80%A5", "%E2%80%A6", "%CD%BE",
	"%C4%AE", "%C4%AF", "%C4%BB", "%C4%BF", "%C4%A3", "%E2%84%AA", "%C3%A9", "e%CC%81", "%F0%9F%98%80",
	"%C0%AF", "%C0%AE", "%E0%80%AF", "%FF", "%ED%A0%80",
}
