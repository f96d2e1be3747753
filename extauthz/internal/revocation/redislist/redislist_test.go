package redislist_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/redistest"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/shared/revocation"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// revoking is a document with that serial that revokes the users.
func revoking(serial int, users ...string) string {
	text := fmt.Sprintf("serial: %d\nrevocations:", serial)
	for _, user := range users {
		text += fmt.Sprintf("\n  - {issuer: i, kind: sub, value: %q, notBefore: 2026-06-01T12:00:00Z, expires: 2026-06-01T13:00:00Z}", user)
	}
	if len(users) == 0 {
		text += " []"
	}
	return text
}

// follower is a list in a Redis that the test commands, with a clock of its own.
type follower struct {
	*redislist.List
	server   *miniredis.Miniredis
	now      time.Time
	reported []string // each change and each error, in order
}

func follow(t *testing.T, prepare func(*miniredis.Miniredis), change ...func(*redislist.Config)) *follower {
	t.Helper()
	f := &follower{server: redistest.StartServer(t), now: noon}
	config := redislist.Config{Address: f.server.Addr(), Key: redislist.DefaultKey}
	prepare(f.server)
	for _, c := range change {
		c(&config)
	}
	var err error
	f.List, err = redislist.Follow(t.Context(), config, func() time.Time { return f.now }, func(list *revocation.List, err error) {
		if err == nil {
			err = fmt.Errorf("serial %d", list.Serial())
		}
		f.reported = append(f.reported, err.Error())
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *follower) revokes(user string) bool {
	return f.Get().Revokes(revocation.Token{Issuer: "i", Subject: user, Issued: noon}, noon)
}

func holding(document string) func(*miniredis.Miniredis) {
	return func(m *miniredis.Miniredis) { _ = m.Set(redislist.DefaultKey, document) }
}

// After any fault of Redis the revoked users stay revoked, and the list ages until Redis
// holds a list again that is not older.
func TestRedisThatFails(t *testing.T) {
	for name, row := range map[string]struct {
		breaks func(*miniredis.Miniredis)
		want   string
	}{
		"lost":               {func(m *miniredis.Miniredis) { m.SetError("LOADING Redis is loading the dataset in memory") }, "LOADING"},
		"wiped":              {func(m *miniredis.Miniredis) { m.FlushAll() }, redislist.ErrNoList.Error()},
		"emptied":            {holding(""), redislist.ErrNoList.Error()},
		"restored":           {holding(revoking(6)), redislist.ErrOlderList.Error()},
		"made again":         {holding(revoking(0)), redislist.ErrOlderList.Error()},
		"from the future":    {holding(revoking(1 << 53)), "the writer of the list has a wrong clock, or this machine has"},
		"garbage":            {holding("\x00\xff{{{"), "not UTF-8"},
		"another type":       {func(m *miniredis.Miniredis) { m.Del(redislist.DefaultKey); m.HSet(redislist.DefaultKey, "a", "b") }, "WRONGTYPE"},
		"half a document":    {holding(revoking(8, "a:alice")[:60]), "the file ends inside a text in quotes"},
		"an unexpected list": {holding("serial: 9\nrevocations: [{issuer: i, kind: user, value: x}]"), `kind "user"`},
		"for ever":           {holding("serial: 9\nrevocations: [{issuer: i, kind: txn, value: x}]"), "expires is missing"},
		"too large":          {holding(revoking(9) + " #" + strings.Repeat("x", revocation.MaxBytes)), revocation.ErrFull.Error()},
		"too many":           {holding("serial: 9\nrevocations: [" + strings.Repeat("{},", revocation.MaxEntries+1) + "]"), revocation.ErrFull.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, holding(revoking(7, "a:alice")))
			row.breaks(f.server)
			f.now = noon.Add(time.Minute)
			for range 3 {
				f.Poll(t.Context())
			}
			if !f.revokes("a:alice") || f.Err() == nil || !strings.Contains(f.Err().Error(), row.want) {
				t.Errorf("revoked %v, error %v", f.revokes("a:alice"), f.Err())
			}
			if f.Age(f.now) != time.Minute || len(f.reported) != 2 {
				t.Errorf("age %v, reported %q", f.Age(f.now), f.reported)
			}

			f.server.SetError("")
			f.server.Del(redislist.DefaultKey)
			holding(revoking(10, "a:bob"))(f.server)
			f.Poll(t.Context())
			if f.revokes("a:alice") || !f.revokes("a:bob") || f.Err() != nil || f.Age(f.now) != 0 {
				t.Errorf("after Redis holds a list again: %v, age %v, %v", f.Err(), f.Age(f.now), f.Get().Entries())
			}
		})
	}
}

// A list from the future ends nothing: after it, and after the list is made again, users
// are revoked as before.
func TestASerialAtTheEnd(t *testing.T) {
	f := follow(t, holding(revoking(7)))
	holding(revoking(1<<53, "a:bob"))(f.server)
	f.Poll(t.Context())
	if !errors.Is(f.Err(), revocation.ErrAhead) || f.revokes("a:bob") {
		t.Errorf("got %v", f.Err())
	}
	f.server.Del(redislist.DefaultKey)
	store, err := redislist.OpenStore(redislist.Config{Address: f.server.Addr(), Key: redislist.DefaultKey})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	err = store.Change(func(before *revocation.List) (*revocation.List, error) {
		list, err := revocation.NewEmptyList(noon, 0)
		if err != nil || before != nil {
			return nil, fmt.Errorf("the list before is %v: %w", before, err)
		}
		list, _, err = list.WithEntries(noon, revocation.Entry{Issuer: "i", Kind: revocation.Sub, Value: "a:alice", NotBefore: noon, Expires: noon.Add(time.Hour)})
		return list, err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Poll(t.Context())
	if !f.revokes("a:alice") || f.Err() != nil {
		t.Errorf("after the cure: %v", f.Err())
	}
}

// A list that was a little ahead of all clocks and is lost is followed by one that the
// error's advice makes.
func TestTheAdviceOnAnOlderList(t *testing.T) {
	serial := uint64(noon.Add(time.Hour).UnixMilli())
	f := follow(t, holding(revoking(int(serial), "a:bob")))
	holding(revoking(int(noon.UnixMilli())))(f.server)
	f.Poll(t.Context())
	if advice := fmt.Sprintf("meshpass revoke init --after %d", serial); !errors.Is(f.Err(), redislist.ErrOlderList) || !strings.Contains(f.Err().Error(), advice) {
		t.Errorf("got %v", f.Err())
	}
	list, err := revocation.NewEmptyList(noon, serial)
	if err != nil {
		t.Fatal(err)
	}
	holding(string(list.Document()))(f.server)
	f.Poll(t.Context())
	if f.Err() != nil || f.revokes("a:bob") {
		t.Errorf("after it: %v", f.Err())
	}
	if gone := f.History().Vanished(noon); len(gone) != 1 || gone[0].Value != "a:bob" {
		t.Errorf("vanished: %v", gone)
	}
}

// A server that is neither a primary nor connected to one is not current.
func TestRoles(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(*server.Peer)
		want   string
	}{
		"primary":               {bulk("master", "0"), ""},
		"replica":               {bulk("slave", "127.0.0.1", "6379", "connected", "7"), ""},
		"replica, cut off":      {bulk("slave", "127.0.0.1", "6379", "connect", "-1"), `link to its primary is "connect"`},
		"replica, connecting":   {bulk("slave", "127.0.0.1", "6379", "connecting", "-1"), `"connecting"`},
		"replica, copying":      {bulk("slave", "127.0.0.1", "6379", "sync", "-1"), `"sync"`},
		"replica, of few words": {bulk("slave"), "unknown"},
		"sentinel":              {bulk("sentinel", "mymaster"), "a Sentinel, which holds no list"},
		"something new":         {bulk("witness"), `its role is "witness"`},
		"nothing":               {func(c *server.Peer) { c.WriteLen(0) }, "ROLE answers"},
		"a text":                {func(c *server.Peer) { c.WriteBulk("master") }, "ROLE answers"},
		"nil":                   {func(c *server.Peer) { c.WriteNull() }, "nil"},
		"broken":                {func(c *server.Peer) { c.WriteError("ERR internal error") }, "internal error"},
	} {
		m := redistest.StartServer(t)
		holding(revoking(7, "a:alice"))(m)
		var said atomic.Pointer[func(*server.Peer)]
		primary := bulk("master")
		said.Store(&primary)
		m.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
			if strings.EqualFold(cmd, "ROLE") {
				(*said.Load())(c)
				return true
			}
			return false
		})
		list, err := redislist.Follow(t.Context(), redislist.Config{Address: m.Addr(), Key: redislist.DefaultKey}, func() time.Time { return noon }, func(*revocation.List, error) {})
		if err != nil || list.Err() != nil {
			t.Fatal(err, list.Err())
		}
		said.Store(&row.answer)
		list.Poll(t.Context())
		if got := list.Err(); (got == nil) != (row.want == "") || got != nil && !strings.Contains(got.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", name, got, row.want)
		}
		if list.Get().Len() != 1 {
			t.Errorf("%s: the list is gone", name)
		}
	}
}

func bulk(parts ...string) func(*server.Peer) {
	return func(c *server.Peer) {
		c.WriteLen(len(parts))
		for _, part := range parts {
			c.WriteBulk(part)
		}
	}
}

// Where ROLE is not to be had the start is refused, with what to do; a rule that is
// added later makes the list stale.
func TestNoRole(t *testing.T) {
	for answer, want := range map[string]string{
		"NOPERM this user has no permissions to run the 'role' command": "run ACL SETUSER reader +role",
		"ERR unknown command 'ROLE', with args beginning with: ":        "do not rename or disable it",
	} {
		m := redistest.StartServer(t)
		holding(revoking(7))(m)
		m.RequireUserAuth("reader", "sesame")
		config := redislist.Config{Address: m.Addr(), Username: "reader", PasswordFile: password(t, "sesame"), Key: redislist.DefaultKey}
		begin := func() (*redislist.List, error) {
			return redislist.Follow(t.Context(), config, func() time.Time { return noon }, func(*revocation.List, error) {})
		}
		before, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		m.Server().SetPreHook(func(c *server.Peer, cmd string, _ ...string) bool {
			if strings.EqualFold(cmd, "ROLE") {
				c.WriteError(answer)
				return true
			}
			return false
		})
		if _, err := begin(); !errors.Is(err, redislist.ErrNoRole) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		before.Poll(t.Context())
		if !errors.Is(before.Err(), redislist.ErrNoRole) {
			t.Errorf("later: got %v", before.Err())
		}
	}
}

// A server that is gone, or that was never there, is no reason not to run.
func TestNoServer(t *testing.T) {
	f := follow(t, func(m *miniredis.Miniredis) { m.Close() })
	if f.Get().Len() != 0 || f.Err() == nil || f.Age(noon) < 24*time.Hour {
		t.Errorf("%v, age %v", f.Err(), f.Age(noon))
	}
	if err := errors.Join(f.server.Restart(), redistest.AnswerRole(f.server)); err != nil {
		t.Fatal(err)
	}
	holding(revoking(1, "a:alice"))(f.server)
	f.Poll(t.Context())
	if !f.revokes("a:alice") || f.Err() != nil {
		t.Errorf("got %v", f.Err())
	}
}

// A list that is made again after a loss is accepted, because its serial is higher.
func TestAListMadeAgain(t *testing.T) {
	f := follow(t, holding(revoking(7, "a:alice")))
	empty, _, err := new(revocation.List).WithEntries(noon)
	if err != nil {
		t.Fatal(err)
	}
	holding(string(empty.Document()))(f.server)
	f.Poll(t.Context())
	if f.revokes("a:alice") || f.Err() != nil {
		t.Errorf("got %v", f.Err())
	}
}

// The same document is not news, but it is known to be current.
func TestTheSameAgain(t *testing.T) {
	f := follow(t, holding(revoking(7, "a:alice")))
	f.now = noon.Add(time.Second)
	f.Poll(t.Context())
	if len(f.reported) != 1 || f.Age(f.now) != 0 || !f.Since().Equal(noon) {
		t.Errorf("reported %q, age %v, since %v", f.reported, f.Age(f.now), f.Since())
	}
}

// password is a file of it.
func password(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, text)
	return file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPassword(t *testing.T) {
	file := password(t, "open sesame\n")
	locked := func(m *miniredis.Miniredis) {
		holding(revoking(1, "a:alice"))(m)
		m.RequireUserAuth("reader", "open sesame")
	}
	f := follow(t, locked, func(c *redislist.Config) { c.Username, c.PasswordFile = "reader", file })
	if !f.revokes("a:alice") {
		t.Errorf("got %v", f.Err())
	}
	if f := follow(t, locked); f.Err() == nil || strings.Contains(f.Err().Error(), "sesame") {
		t.Errorf("got %v", f.Err())
	}
	open := password(t, "open sesame")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := redislist.OpenStore(redislist.Config{PasswordFile: open}); !errors.Is(err, secretfile.ErrOpen) {
		t.Errorf("a password that everybody may read: %v", err)
	}
	for _, c := range []redislist.Config{{PasswordFile: "absent"}, {CAFile: "absent"}, {CAFile: file}} {
		if _, err := redislist.OpenStore(c); err == nil {
			t.Errorf("%+v: opened", c)
		}
	}
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]struct{ address, tls bool }{
		"127.0.0.1:6379": {true, true}, "[::1]:6379": {true, true}, "localhost:6379": {true, true}, "127.8.8.8:1": {true, true}, "unix:/run/redis.sock": {true, true},
		"redis:6379": {true, false}, "10.0.0.1:6379": {true, false}, "localhost.example.com:6379": {true, false}, "[::]:6379": {true, false}, "0.0.0.0:6379": {true, false},
		"redis": {false, false}, "redis:": {false, false}, "": {false, false}, "unix:redis.sock": {false, true},
	} {
		c := redislist.Config{Address: address}
		if err := c.CheckAddress(); (err == nil) != want.address {
			t.Errorf("%s: %v", address, err)
		}
		if err := c.CheckTLS(); (err == nil) != want.tls || err != nil && !errors.Is(err, redislist.ErrNoTLS) {
			t.Errorf("%s: without TLS: %v", address, err)
		}
		c.CAFile = "ca.pem"
		if err := c.CheckTLS(); err != nil {
			t.Errorf("%s: with TLS: %v", address, err)
		}
	}
}

// Changes by several at once are all there in the end.
func TestStoreLosesNothing(t *testing.T) {
	server := redistest.StartServer(t)
	holding(revoking(0))(server)
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			store, err := redislist.OpenStore(redislist.Config{Address: server.Addr(), Key: redislist.DefaultKey})
			if err != nil {
				t.Error(err)
				return
			}
			defer store.Close()
			for n := range 3 {
				err := store.Change(func(list *revocation.List) (*revocation.List, error) {
					next, _, err := list.WithEntries(noon, revocation.Entry{Issuer: "i", Kind: revocation.Txn, Value: fmt.Sprint(i, n), Expires: noon.Add(time.Hour)})
					return next, err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	document, err := server.Get(redislist.DefaultKey)
	if err != nil {
		t.Fatal(err)
	}
	list, err := revocation.Parse([]byte(document))
	if err != nil || list.Len() != 12 || list.Serial() != uint64(noon.UnixMilli())+11 {
		t.Errorf("%d entries, serial %d, %v", list.Len(), list.Serial(), err)
	}
}

// A value that is not a list is not overwritten.
func TestStoreRefuses(t *testing.T) {
	server := redistest.StartServer(t)
	store, err := redislist.OpenStore(redislist.Config{Address: server.Addr(), Key: redislist.DefaultKey})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	no := errors.New("no")
	if err := store.Change(func(list *revocation.List) (*revocation.List, error) {
		if list != nil {
			t.Error("a list out of nothing")
		}
		return nil, no
	}); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	holding("garbage: [")(server)
	if err := store.Change(func(*revocation.List) (*revocation.List, error) { return new(revocation.List), nil }); err == nil {
		t.Error("garbage was written over")
	}
	if document, _ := server.Get(redislist.DefaultKey); document != "garbage: [" {
		t.Errorf("now %s", document)
	}
}
