package redislist_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/shared/revocation"
)

// realRedis is a redis-server of this machine.
type realRedis struct {
	*redis.Client
	address string
	process *exec.Cmd
}

func startRedis(t *testing.T, settings ...string) *realRedis {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("NOT RUN: revocations at a real Redis: needs redis-server")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	r := &realRedis{address: address, Client: redis.NewClient(&redis.Options{Addr: address, DisableIdentity: true})}
	r.process = exec.Command(program, append([]string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir(),
		"--repl-diskless-sync-delay", "0", "--repl-timeout", "2", "--repl-ping-replica-period", "1"}, settings...)...)
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); r.kill() })
	r.until(t, "it answers", func() bool { return r.Ping(t.Context()).Err() == nil })
	return r
}

func (r *realRedis) kill() {
	_ = r.process.Process.Kill()
	_ = r.process.Wait()
}

func (r *realRedis) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func (r *realRedis) set(t *testing.T, document string) {
	t.Helper()
	if err := r.Set(t.Context(), redislist.DefaultKey, document, 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func (r *realRedis) follow(t *testing.T) (*redislist.List, error) {
	t.Helper()
	return redislist.Follow(t.Context(), redislist.Config{Address: r.address, Key: redislist.DefaultKey}, time.Now, func(*revocation.List, error) {})
}

// A replica is as good as its link to the primary: while it is cut off its list grows
// old, on a connection that is well all the time.
func TestAReplicaThatIsCutOff(t *testing.T) {
	primary := startRedis(t)
	primary.set(t, revoking(7, "a:alice"))
	host, port, _ := net.SplitHostPort(primary.address)
	replica := startRedis(t, "--replicaof", host+" "+port)
	list, err := replica.follow(t)
	if err != nil {
		t.Fatal(err)
	}
	poll := func() error { list.Poll(t.Context()); return list.Err() }
	replica.until(t, "the replica has the list", func() bool { return poll() == nil })
	if list.Get().Len() != 1 {
		t.Fatalf("got %v", list.Get().Entries())
	}
	primary.kill()
	replica.until(t, "the replica says that it is cut off", func() bool { return errors.Is(poll(), redislist.ErrCutOff) })
	if document, err := replica.Get(t.Context(), redislist.DefaultKey).Result(); err != nil || document == "" {
		t.Errorf("the replica does not serve the old list any more: %q, %v", document, err)
	}
	cut := time.Now()
	if list.Age(cut.Add(time.Minute)) < time.Minute || list.Get().Len() != 1 {
		t.Errorf("age %v, %d entries", list.Age(cut.Add(time.Minute)), list.Get().Len())
	}
	if err := replica.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil { // a failover makes it the primary
		t.Fatal(err)
	}
	if err := poll(); err != nil {
		t.Errorf("as primary: %v", err)
	}
}

// A primary that a failover demotes reports it on the open connection.
func TestADemotedPrimary(t *testing.T) {
	r := startRedis(t)
	r.set(t, revoking(7, "a:alice"))
	list, err := r.follow(t)
	if err != nil || list.Err() != nil {
		t.Fatal(err, list.Err())
	}
	if err := r.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	list.Poll(t.Context())
	if !errors.Is(list.Err(), redislist.ErrCutOff) || list.Get().Len() != 1 {
		t.Errorf("got %v", list.Err())
	}
}

// The line of the error is the one that helps.
func TestAnACLWithoutRole(t *testing.T) {
	r := startRedis(t)
	r.set(t, revoking(7))
	acl := func(rules ...any) {
		if err := r.Do(t.Context(), append([]any{"ACL", "SETUSER"}, rules...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	acl("reader", "on", ">sesame", "~"+redislist.DefaultKey, "+getrange", "+hello")
	config := redislist.Config{Address: r.address, Username: "reader", PasswordFile: password(t, "sesame"), Key: redislist.DefaultKey}
	begin := func() (*redislist.List, error) {
		return redislist.Follow(context.Background(), config, time.Now, func(*revocation.List, error) {})
	}
	_, err := begin()
	if !errors.Is(err, redislist.ErrNoRole) {
		t.Fatalf("got %v", err)
	}
	_, line, found := strings.Cut(err.Error(), "run ACL SETUSER ")
	line, _, _ = strings.Cut(line, ",")
	if !found {
		t.Fatalf("got %v", err)
	}
	var rules []any
	for _, rule := range strings.Fields(line) {
		rules = append(rules, rule)
	}
	acl(rules...)
	if list, err := begin(); err != nil || list.Err() != nil {
		t.Errorf("after ACL SETUSER %s: %v", line, err)
	}
}

// A Sentinel has no list.
func TestASentinel(t *testing.T) {
	primary := startRedis(t)
	host, port, _ := net.SplitHostPort(primary.address)
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	write(t, conf, fmt.Sprintf("sentinel monitor mymaster %s %s 1\n", host, port))
	sentinel := startSentinel(t, conf)
	list, err := sentinel.follow(t)
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(list.Err(), redislist.ErrCutOff) || !strings.Contains(list.Err().Error(), "a Sentinel") {
		t.Errorf("got %v", list.Err())
	}
}

func startSentinel(t *testing.T, conf string) *realRedis {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	port := free.Addr().(*net.TCPAddr).Port
	r := &realRedis{address: address, Client: redis.NewClient(&redis.Options{Addr: address, DisableIdentity: true})}
	r.process = exec.Command("redis-server", conf, "--sentinel", "--bind", "127.0.0.1", "--port", strconv.Itoa(port))
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); r.kill() })
	r.until(t, "the Sentinel answers", func() bool { return r.Ping(t.Context()).Err() == nil })
	return r
}

// A socket of this machine needs no TLS.
func TestAUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	r := startRedis(t, "--unixsocket", socket)
	r.set(t, revoking(7, "a:alice"))
	list, err := redislist.Follow(t.Context(), redislist.Config{Address: "unix:" + socket, Key: redislist.DefaultKey}, time.Now, func(*revocation.List, error) {})
	if err != nil || list.Err() != nil || list.Get().Len() != 1 {
		t.Errorf("got %v, %v", err, list.Err())
	}
}
