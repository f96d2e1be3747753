package transport_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/certtest"
	"github.com/meshpass/meshpass/extauthz/internal/transport"
)

const name = "spiffe://cluster.local/ns/meshpass/sa/meshpass"

// Files that cannot be served are rejected, with the file's name and what is wrong.
func TestFiles(t *testing.T) {
	ca := certtest.NewCA(t)
	now := time.Now()
	good, other := ca.IssueLeaf(now.Add(time.Hour), name), ca.IssueLeaf(now.Add(time.Hour), name)
	cut := func(pem string) string { return pem[:len(pem)-60] }
	for _, row := range []struct {
		name, cert, key, clientCA string
		want                      string // of the error; empty: fine
	}{
		{"as it should be", good.Cert, good.Key, ca.PEM(), ""},
		{"with intermediates", good.Cert + ca.PEM(), good.Key, ca.PEM() + certtest.NewCA(t).PEM(), ""},
		{"for any client", good.Cert, good.Key, "-", ""},
		{"text around the blocks", "# ours\n" + good.Cert, good.Key, "\n\n" + ca.PEM() + "\n", ""},
		{"empty certificate", "", good.Key, ca.PEM(), "cert.pem: no certificate in PEM"},
		{"half a certificate", cut(good.Cert), good.Key, ca.PEM(), "cert.pem: no certificate in PEM"},
		{"half an intermediate", good.Cert + cut(ca.PEM()), good.Key, ca.PEM(), "cert.pem: the text after block 1 is cut off, or not a certificate"},
		{"a key as certificate", good.Key, good.Key, ca.PEM(), "cert.pem: block 1 is a PRIVATE KEY, not a CERTIFICATE"},
		{"bad bytes", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good.Key, ca.PEM(), "cert.pem: block 1 is not a certificate: x509: malformed certificate"},
		{"empty key", good.Cert, "", ca.PEM(), "key.pem: tls: failed to find any PEM data in key input"},
		{"half a key", good.Cert, cut(good.Key), ca.PEM(), "key.pem: tls: failed to find any PEM data in key input"},
		{"another one's key", good.Cert, other.Key, ca.PEM(), "key.pem: tls: private key does not match public key"},
		{"no client CA", good.Cert, good.Key, "", "ca.pem: no certificate in PEM"},
		{"half a client CA", good.Cert, good.Key, ca.PEM() + cut(ca.PEM()), "ca.pem: the text after block 1 is cut off, or not a certificate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			material, err := write(t, row.cert, row.key, row.clientCA).Read(now)
			if row.want == "" {
				if err != nil || material.NotAfter().Unix() != good.TLS.Leaf.NotAfter.Unix() {
					t.Errorf("got %v, %v", material, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || material != nil {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

// Both users of a CA file read all of it or nothing: a block that is skipped would be an
// authority that is lost.
func TestFilesOfAuthorities(t *testing.T) {
	ca, other := certtest.NewCA(t), certtest.NewCA(t)
	leaf := ca.IssueLeaf(time.Now().Add(time.Hour), name)
	cut := ca.PEM()[:len(ca.PEM())-60]
	for row, content := range map[string]struct{ text, want string }{
		"one":                         {ca.PEM(), ""},
		"two, with text between them": {"# ours\n" + ca.PEM() + "\n# theirs\n" + other.PEM() + "\n", ""},
		"empty":                       {"", "ca.pem: no certificate in PEM"},
		"no PEM":                      {"ours", "ca.pem: no certificate in PEM"},
		"cut off":                     {cut, "ca.pem: no certificate in PEM"},
		"the last one cut off":        {other.PEM() + cut, "ca.pem: the text after block 1 is cut off, or not a certificate"},
		"one in the middle cut off":   {other.PEM() + cut + "\n" + other.PEM() + ca.PEM(), "ca.pem: a block before block 2 is cut off or damaged"},
		"a foreign block":             {ca.PEM() + leaf.Key, "ca.pem: block 2 is a PRIVATE KEY, not a CERTIFICATE"},
	} {
		files := write(t, leaf.Cert, leaf.Key, content.text)
		_, ofClients := files.Read(time.Now())
		roots, ofServers := transport.Roots(files.ClientCA)
		for user, err := range map[string]error{"clients": ofClients, "servers": ofServers} {
			got := ""
			if err != nil {
				got = err.Error()
			}
			if !strings.HasSuffix(got, content.want) || (got == "") != (content.want == "") {
				t.Errorf("%s, %s: got %q, want %q", row, user, got, content.want)
			}
		}
		if (roots == nil) != (content.want != "") {
			t.Errorf("%s: got %v", row, roots)
		}
	}
	if roots, err := transport.Roots(""); roots != nil || err != nil {
		t.Errorf("no file: got %v, %v", roots, err)
	}
}

func TestExpired(t *testing.T) {
	ca := certtest.NewCA(t)
	until := time.Now().Add(time.Minute)
	leaf := ca.IssueLeaf(until, name)
	files := write(t, leaf.Cert, leaf.Key, ca.PEM())
	if _, err := files.Read(until.Add(-time.Second)); err != nil {
		t.Error(err)
	}
	_, err := files.Read(until.Add(time.Second))
	if want := files.Cert + ": expired at " + until.UTC().Format(time.RFC3339); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// Clocks differ, and unchanged files are not looked at again.
	if _, err := files.Read(until.Add(-3 * time.Hour)); err != nil {
		t.Errorf("not valid yet: %v", err)
	}
}

// write makes the files; "-" is none.
func write(t *testing.T, cert, key, clientCA string) transport.Files {
	t.Helper()
	dir := t.TempDir()
	file := func(name, content string) string {
		if content == "-" {
			return ""
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return transport.Files{Cert: file("cert.pem", cert), Key: file("key.pem", key), ClientCA: file("ca.pem", clientCA)}
}
