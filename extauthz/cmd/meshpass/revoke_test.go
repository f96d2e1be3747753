package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/listedit"
	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
)

const tyk = "https://tyk.example.com"

// lists are the two places of a list, with their present content.
func lists(t *testing.T) map[string]struct {
	flag string
	now  func() string
} {
	t.Helper()
	file, server := filepath.Join(t.TempDir(), "revoked.yaml"), miniredis.RunT(t)
	return map[string]struct {
		flag string
		now  func() string
	}{
		"file":  {"--file=" + file, func() string { data, _ := os.ReadFile(file); return string(data) }},
		"redis": {"--redis=" + server.Addr(), func() string { data, _ := server.Get(redislist.DefaultKey); return data }},
	}
}

// digest and txn have the forms that tokens have.
const (
	digest = "bSeaI3Tenq17hlxB0GAHKtdEAD7oUAe154dtpDCX-qI"
	txn    = "01979a3e-7c00-7000-8000-000000000000"
)

// The life of a list: both places behave alike.
func TestRevoke(t *testing.T) {
	for name, place := range lists(t) {
		t.Run(name, func(t *testing.T) {
			serial := uint64(time.Now().UnixMilli())
			config := filepath.Join(t.TempDir(), "meshpass.yaml")
			if err := os.WriteFile(config, []byte("tls: {mode: [x]}\ntrust: [{issuer: https://other.example}, {issuer: \""+tyk+"\", unknown: 1}]\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, row := range []struct {
				args           string
				code           int
				stdout, stderr string // parts of the output
				entries        int
			}{
				{"sub LIST --issuer I --for 1h okta:alice", 1, "", "there is no list yet", 0},
				{"list LIST", 1, "", "there is no list yet", 0},
				{"init LIST", 0, "made by ", "", 0},
				{"init LIST", 0, "already made by ", "", 0},
				{"init LIST --after x", 2, "", "invalid value", 0},
				{"sub LIST --issuer I --for 1h alice", 2, "", "want NAMESPACE:ID", 0},
				{"kid LIST --issuer I --for 1h notakid", 2, "", "43 characters of base64url", 0},
				{"sid LIST --issuer I --for 1h S", 2, "", "43 characters of base64url", 0},
				{"txn LIST --issuer I zzz", 2, "", "want a UUID", 0},
				{"sub LIST --issuer https://typo.example --config CONFIG --for 1h okta:alice", 2, "", "is not trusted by the configuration", 0},
				{"sub LIST --issuer I --config absent.yaml --for 1h okta:alice", 2, "", "no such file", 0},
				{"sub LIST --issuer I --config CONFIG --for 1h --by ops --reason stolen okta:alice", 0, "revoked sub okta:alice of I by ops at ", "", 1},
				{"sub LIST --issuer I --for 1m okta:alice", 0, "already revoked sub okta:alice of I by ", "", 1},
				{"kid LIST --issuer I --for 1h " + digest, 0, "its tokens are rejected until ", "", 2},
				{"txn LIST --issuer I " + txn, 0, "revoked txn " + txn + " of I", "", 3},
				{"sid LIST --issuer I --for 0s " + digest, 0, "tokens issued until ", "", 4},
				{"remove LIST --issuer I kid OTHER", 1, "", "no such entry", 4},
				{"remove LIST --issuer I kid " + digest, 0, "removed kid " + digest + " of I", "", 3},
				{"list LIST", 0, "okta:alice", "", 3},
				{"sub LIST --issuer I --for 1h okta:a\x01b", 2, "", "no token has such a value: sub has a control character", 3},
				{"sub LIST --issuer I a", 2, "", "revoke sub needs --for, 0s to 8784h0m0s", 3},
				{"sub LIST --issuer I --for 9000h a", 2, "", "needs --for", 3},
				{"sub LIST --for 1h a", 2, "", "--issuer is missing", 3},
				{"sub LIST --issuer I --for 1h", 2, "", "one value is needed", 3},
				{"user LIST --issuer I a", 2, "", "revoke has no such command", 3},
				{"sub --issuer I --for 1h a", 2, "", "name one list", 3},
				{"list LIST -o yaml", 2, "", `invalid value "yaml" for -o: want text or json`, 3},
			} {
				args := strings.Fields(strings.NewReplacer("LIST", place.flag, "CONFIG", config, " I ", " "+tyk+" ").Replace("revoke " + row.args))
				code, stdout, stderr := ran(t, args...)
				stdout = strings.ReplaceAll(stdout, tyk, "I")
				if code != row.code || !strings.Contains(stdout, row.stdout) || !strings.Contains(stderr, row.stderr) || (row.stderr == "") != (stderr == "") {
					t.Errorf("%s: got %d\n%s\n%s", row.args, code, stdout, stderr)
				}
				if place.now() == "" {
					continue
				}
				list, err := revocation.Parse([]byte(place.now()))
				if err != nil || list.Len() != row.entries || list.Serial() < serial {
					t.Fatalf("%s: %v\n%s", row.args, err, place.now())
				}
				serial = list.Serial()
			}
		})
	}
}

func TestRevokeInJSON(t *testing.T) {
	flag := lists(t)["file"].flag
	began := time.Now().Add(-time.Second)
	ran(t, "revoke", "init", flag)
	_, stdout, _ := ran(t, "revoke", "sub", flag, "--issuer", tyk, "--for", "1h", "--by", "ops", "-o", "json", "okta:alice")
	var r listedit.Report
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Changed || r.By != "ops" || r.At.Before(began) || r.Serial == 0 || r.Entry.Value != "okta:alice" ||
		r.Entry.NotBefore.Before(began.Add(time.Hour)) || r.Entry.Expires.Sub(r.Entry.NotBefore) != 6*time.Minute {
		t.Errorf("got %s", stdout)
	}
	_, stdout, _ = ran(t, "revoke", "list", flag, "-o", "json")
	var l listedit.Listing
	if err := json.Unmarshal([]byte(stdout), &l); err != nil || len(l.Entries) != 1 || l.Entries[0] != *r.Entry {
		t.Errorf("got %s, %v", stdout, err)
	}
}

// A session is named by its key, which is nowhere to be seen, and never an argument.
func TestRevokeTheSessionOfAKey(t *testing.T) {
	const key = "demo0123456789"
	place, secret := lists(t)["file"], filepath.Join(t.TempDir(), "hmac")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ran(t, "revoke", "init", place.flag)
	revoked := func(input string, args ...string) (int, string) {
		code, stdout, stderr := ranWith(t, input, append([]string{"revoke", "sid", place.flag, "--issuer", tyk, "--for", "1h", "--secret-file"}, args...)...)
		return code, stdout + stderr
	}
	code, output := revoked(key+"\n", secret)
	sid := identity.PseudonymKey(strings.Repeat("s", 32)).Pseudonym(key)
	if code != 0 || !strings.Contains(place.now(), `"`+sid+`"`) {
		t.Errorf("got %d, %s\n%s", code, output, place.now())
	}
	for _, args := range [][]string{{secret, key}, {"absent"}, {place.flag[len("--file="):]}} {
		code, more := revoked("", args...)
		if output += more; code != 2 {
			t.Errorf("%v: got %d", args, code)
		}
	}
	if strings.Contains(output+place.now(), key) {
		t.Error("the key is printed")
	}
}

// A full list is reported on standard error, and stays as it is.
func TestRevokeIntoAFullList(t *testing.T) {
	place := lists(t)["file"]
	var all []revocation.Entry
	for i := range revocation.MaxEntries {
		all = append(all, revocation.Entry{Issuer: tyk, Kind: revocation.Txn, Value: string(rune('a'+i%26)) + time.Duration(i).String(), Expires: time.Now().Add(time.Hour)})
	}
	full, _, err := new(revocation.List).WithEntries(time.Now(), all...)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(place.flag[len("--file="):], full.Document(), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := ran(t, "revoke", "sub", place.flag, "--issuer", tyk, "--for", "1h", "okta:alice")
	if code != 1 || !strings.Contains(stderr, "the list is full") || place.now() != string(full.Document()) {
		t.Errorf("got %d, %s", code, stderr)
	}
}

// A list that every reader rejects is not changed, and one that is lost is followed by one
// that counts as later.
func TestRevokeAfterAListFromTheFuture(t *testing.T) {
	place := lists(t)["file"]
	file := place.flag[len("--file="):]
	if err := os.WriteFile(file, []byte("serial: 9007199254740992\nrevocations: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"sub", "--for", "1h", "okta:alice"}, {"remove", "sub", "okta:alice"}} {
		code, _, stderr := ran(t, append([]string{"revoke", args[0], place.flag, "--issuer", tyk}, args[1:]...)...)
		if code != 2 || !strings.Contains(stderr, "authorizers and gateways reject this list: remove it") {
			t.Errorf("%v: got %d, %s", args, code, stderr)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	after := time.Now().Add(time.Hour).UnixMilli()
	if code, _, stderr := ran(t, "revoke", "init", place.flag, "--after", strconv.FormatInt(after, 10)); code != 0 {
		t.Errorf("got %d, %s", code, stderr)
	}
	if list, err := revocation.Parse([]byte(place.now())); err != nil || list.Serial() != uint64(after)+1 {
		t.Errorf("got %s", place.now())
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := ran(t, "revoke", "init", place.flag, "--after", "9007199254740991"); code != 2 || place.now() != "" {
		t.Errorf("got %d, %s, %s", code, stderr, place.now())
	}
}

// A list on another machine needs TLS, or --redis-without-tls. A secret that others may
// read is rejected.
func TestRevokeThroughOpenDoors(t *testing.T) {
	file, secret := lists(t)["file"].flag, filepath.Join(t.TempDir(), "hmac")
	ran(t, "revoke", "init", file)
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"list", "--redis", "redis.invalid:6379"}, "set --redis-ca, or --redis-without-tls"},
		{[]string{"list", "--redis", "redis.invalid:6379", "--redis-without-tls"}, "lookup redis.invalid"},
		{[]string{"list", "--redis", "redis.invalid"}, "write HOST:PORT"},
		{[]string{"list", "--redis", "127.0.0.1:6379", "--redis-username", "meshpass"}, "name --redis-password-file too"},
		{[]string{"list", "--redis", "unix:/run/redis.sock", "--redis-ca", "ca.pem"}, "a socket of this machine has no TLS"},
		{[]string{"list", "--redis", "redis.invalid:6379", "--redis-ca", "ca.pem", "--redis-without-tls"}, "name one of them"},
		{[]string{"list", "--file", "absent.yaml", "--redis-key", "a"}, "--redis-key is for --redis, and the list is a file"},
		{[]string{"sid", file, "--issuer", tyk, "--for", "1h", "--secret-file", secret}, "has mode 0644: too many may read or write it"},
	} {
		code, _, stderr := ran(t, append([]string{"revoke"}, row.args...)...)
		if code != 2 || !strings.Contains(stderr, row.want) {
			t.Errorf("%v: got %d, %s", row.args, code, stderr)
		}
	}
}
