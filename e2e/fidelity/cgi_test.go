package fidelity_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// TestCGI has a web server behind the Envoy that hands headers on as CGI variables: lighttpd writes
// every byte of a name that is no letter or digit as "_" (RFC 3875 section 4.1.18 asks for that of "-"
// alone). Whatever a caller sends, the program reads our names as we wrote them, or not at all.
func TestCGI(t *testing.T) {
	lighttpd, err := exec.LookPath("lighttpd")
	if err != nil {
		lighttpd = "/usr/sbin/lighttpd" // not in PATH of everyone
		if _, err := os.Stat(lighttpd); err != nil {
			t.Skip("NOT RUN: identity headers at a CGI server: needs lighttpd")
		}
	}
	var server string
	r := newRigBefore(t, fromDump, func(r *rig, address string) {
		server = address
		startLighttpd(t, lighttpd, r.dir, address)
	})
	h := newHopOn(t, r, "identityHeaders: {x-meshpass-user: sub, x-meshpass-tenant: tctx.tenant}\n")
	token := tokentest.ValidToken(t, time.Now())
	alice := []string{"HTTP_TXN_TOKEN=" + token, "HTTP_X_MESHPASS_TENANT=acme", "HTTP_X_MESHPASS_USER=idp:alice"}
	for _, c := range "-#$%&'*+.^_`|~" {
		sign := string(c)
		t.Run(sign, func(t *testing.T) {
			forged := []string{"X" + sign + "Meshpass" + sign + "User: idp:root", "x" + sign + "meshpass-tenant: evil", "X-MESHPASS" + sign + "ROLE: admin"}
			withToken := append(slices.Clone(forged), "Txn"+sign+"Token: "+token)
			if direct := sendTo(t, server, request("/whoami.cgi", withToken...)); !strings.Contains(direct, "HTTP_X_MESHPASS_USER=idp:root\n") || !strings.Contains(direct, "HTTP_TXN_TOKEN=") {
				t.Errorf("this server tells the spellings apart, so that this test shows nothing: %s", direct)
			}
			equalLists(t, "anonymous", oursAmong(h.one(t, request("/whoami.cgi", forged...))), nil)
			if sign != "-" {
				equalLists(t, "a token under another name", oursAmong(h.one(t, request("/whoami.cgi", withToken...))), nil)
				withToken = append(withToken, "Txn-Token: "+token)
			}
			equalLists(t, "alice", oursAmong(h.one(t, request("/whoami.cgi", withToken...))), alice)
		})
	}
}

// startLighttpd serves a program that prints the headers it was given.
func startLighttpd(t testing.TB, lighttpd, dir, address string) {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	must(t, err)
	root := filepath.Join(dir, "www")
	must(t, os.Mkdir(root, 0o755))
	must(t, os.WriteFile(filepath.Join(root, "whoami.cgi"), []byte("printf 'Content-Type: text/plain\\r\\n\\r\\n'; env | grep ^HTTP_ | LC_ALL=C sort\n"), 0o644))
	config := filepath.Join(dir, "lighttpd.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `server.modules = ("mod_cgi")
server.document-root = %q
server.bind = %q
server.port = %s
cgi.assign = (".cgi" => "/bin/sh")
`, root, host, port), 0o644))
	p, err := process.Start(process.Spec{
		Name: "lighttpd", Path: lighttpd, Args: []string{"-D", "-f", config}, Dir: dir,
		Stdout: filepath.Join(dir, "lighttpd.log"), Stderr: filepath.Join(dir, "lighttpd.err"),
	})
	must(t, err)
	stopAtEnd(t, p.Stop)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(t, p.AwaitReady(ctx, process.NewListeningCheck(address)))
}

// sendTo sends a request past the Envoy and returns the body of the answer.
func sendTo(t testing.TB, address, raw string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, raw)
	must(t, err)
	return readReply(t, bufio.NewReader(conn), "GET").body
}

// oursAmong picks the variables of our names from the program's answer.
func oursAmong(reply reply) (ours []string) {
	if reply.status != 200 {
		return []string{fmt.Sprintf("status %d: %s", reply.status, reply.body)}
	}
	for line := range strings.Lines(reply.body) {
		if strings.HasPrefix(line, "HTTP_TXN") || strings.HasPrefix(line, "HTTP_X_MESHPASS") {
			ours = append(ours, strings.TrimSuffix(line, "\n"))
		}
	}
	return ours
}
