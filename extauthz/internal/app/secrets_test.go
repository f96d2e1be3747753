package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/certtest"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/redistest"
)

func (f files) chmod(name string, mode fs.FileMode) {
	f.t.Helper()
	if err := os.Chmod(filepath.Join(filepath.Dir(f.config), name), mode); err != nil {
		f.t.Fatal(err)
	}
}

// What others may read, or replace, is no secret: the start is refused, with the cure.
func TestSecretsThatAreOpen(t *testing.T) {
	server := redistest.StartServer(t)
	if err := server.Set(redislist.DefaultKey, "serial: 1\nrevocations: []"); err != nil {
		t.Fatal(err)
	}
	server.RequireAuth("sesame")
	redis := oneListener + "revocation: {redis: {address: \"" + server.Addr() + "\", passwordFile: secrets/password}}\n"
	ca := certtest.NewCA(t)
	tls := strings.ReplaceAll(mutual, "key.pem", "secrets/key.pem")
	east := newFleet(t, "east")
	seeded := fromURL(east, newKeyServer(t, east.jwks(t)).URL, "seed: secrets/seed.json")
	for _, row := range []struct {
		name string
		make func(t *testing.T) files
		file string
		good fs.FileMode
	}{
		{"the password of Redis", func(t *testing.T) files { return newFiles(t, redis) }, "secrets/password", 0o440},
		{"the private key of TLS", func(t *testing.T) files { return newFiles(t, oneListener, tls) }, "secrets/key.pem", 0o640},
		{"the seed of a key set", func(t *testing.T) files { return newTrusting(t, overHTTP, seeded) }, "secrets/seed.json", 0o644},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := row.make(t)
			if err := os.Mkdir(filepath.Join(filepath.Dir(f.config), "secrets"), 0o755); err != nil {
				t.Fatal(err)
			}
			leaf := ca.IssueLeaf(time.Now().Add(lasting), ourName)
			for name, text := range map[string]string{"secrets/password": "sesame", "secrets/key.pem": leaf.Key, "cert.pem": leaf.Cert, "ca.pem": ca.PEM(), "secrets/seed.json": "{}"} {
				f.write(name, text)
			}
			loads := func() error {
				_, err := loadAuthorizer(process(f.config))
				return err
			}
			f.chmod(row.file, row.good)
			if err := loads(); err != nil {
				t.Errorf("%04o: %v", row.good, err)
			}
			f.chmod(row.file, row.good|0o006)
			if err := loads(); err == nil || !strings.Contains(err.Error(), "too many may read or write it") {
				t.Errorf("%04o: %v", row.good|0o006, err)
			}
			f.chmod(row.file, row.good)
			f.chmod("secrets", 0o777)
			if err := loads(); err == nil || !strings.Contains(err.Error(), "secrets has mode 0777: too many may read or write it") {
				t.Errorf("in a folder of everybody's: %v", err)
			}
			f.chmod("secrets", 0o777|fs.ModeSticky)
			if err := loads(); err != nil {
				t.Errorf("in a sticky folder: %v", err)
			}
		})
	}
}

// Redis on another machine is reached by TLS, or by leave.
func TestPlainRedis(t *testing.T) {
	f := newFiles(t, oneListener+`revocation: {redis: {address: "redis.invalid:6379"}}`)
	if _, err := loadAuthorizer(process(f.config)); err == nil || !strings.Contains(err.Error(), "revocation.redis.address: a connection without TLS to another machine") ||
		!strings.Contains(err.Error(), "name caFile, or allow it with insecure.redisWithoutTLS") {
		t.Errorf("got %v", err)
	}
	f = newFiles(t, oneListener+`revocation: {redis: {address: "redis.invalid:6379"}}`+"\ninsecure: {redisWithoutTLS: true}")
	r := start(t, f.config)
	if warned := len(r.matches(`"level":"WARN","msg":"(insecure\.redisWithoutTLS): `)); warned != 1 {
		t.Errorf("warned %d times", warned)
	}
}
