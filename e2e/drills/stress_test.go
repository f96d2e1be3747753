package drills

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
)

// The drills of this file put the authorizer's own process under stress. Each is named in the table "The authorizer under
// stress" of docs/failure-modes.md. They use no Envoy: what callers get follows from the answers and the table of outages.

// statedEnd is the 25 s that docs/operations.md wants for a container, without the drain delay of 5 s. The process itself takes
// at most 15 s.
const statedEnd = 20 * time.Second

func (a *alone) signalEnd() error { return syscall.Kill(a.PID(), syscall.SIGTERM) }

// Without a free file descriptor, no connection is accepted and no file is read again. Open connections are decided as
// before, and the process continues by itself as soon as there are descriptors.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	a := startAlone(t, aloneSetup{})
	ops, connected := newOpsClient(t), a.newPeer(t, "127.0.0.3")
	connected.ask(t)
	a.awaitMetric(t, ops, `meshpass_reload_current{source="policies"}`, 1)

	var was unix.Rlimit
	must(t, unix.Prlimit(a.PID(), unix.RLIMIT_NOFILE, nil, &was))
	must(t, unix.Prlimit(a.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: was.Max}, nil))
	policy := filepath.Join(a.files, "policies", "orders.yaml")
	shipped := mustGet(os.ReadFile(policy))(t)
	must(t, os.WriteFile(policy, bytes.Replace(shipped, []byte("effect: allow"), []byte("effect: deny"), 1), 0o600))
	waiting := make(chan string, 1)
	newcomer := a.newPeer(t, "127.0.0.4")
	go func() {
		got, err := newcomer.askWith(t.Context(), a.token)
		waiting <- fmt.Sprintf("%s %v", got, err)
	}()
	probed := make(chan int, 1)
	probe := newOpsClient(t)
	go func() {
		status, _ := a.get(t, probe, "/livez")
		probed <- status
	}()
	a.awaitMetric(t, ops, `meshpass_reload_current{source="policies"}`, 0)
	for range 100 {
		connected.ask(t)
	}
	if status, page := a.get(t, ops, "/readyz"); status != http.StatusOK || !strings.Contains(page, "too many open files") {
		t.Errorf("/readyz: %d %s", status, page)
	}
	if log := a.readLog(t); !strings.Contains(log, "too many open files") {
		t.Errorf("the log lacks the cause: %s", log)
	}
	select {
	case got := <-waiting:
		t.Errorf("a new connection got %s", got)
	case status := <-probed:
		t.Errorf("a new probe got %d", status)
	default:
	}

	must(t, unix.Prlimit(a.PID(), unix.RLIMIT_NOFILE, &was, nil))
	a.awaitMetric(t, ops, `meshpass_reload_current{source="policies"}`, 1)
	if got := <-waiting; got != "403 rule_denied <nil>" && got != "allow <nil>" { // before or after the reload
		t.Errorf("the connection that waited got %s", got)
	}
	if status := <-probed; status != http.StatusOK {
		t.Errorf("the probe that waited got %d", status)
	}
	eventually(t, "the changed policy decides", func() bool {
		got, _ := newcomer.askWith(t.Context(), a.token)
		return got == "403 rule_denied"
	})
	a.awaitEnd(t, 0)
}

// Of 10,000 connections of one address, as many stay as limits.connections admits. The others are closed at once and
// counted. Peers with few connections are decided all the time, and find a place.
func TestTenThousandConnections(t *testing.T) {
	t.Parallel()
	const attempts, limit = 10_000, 1000
	a := startAlone(t, aloneSetup{})
	ops, connected := newOpsClient(t), a.newPeer(t, "127.0.0.3")
	connected.ask(t)
	flood := a.openConnections(t, "127.0.0.2", attempts)
	if open := len(flood.open); open != limit-1 {
		t.Errorf("%d connections stay open, want %d", open, limit-1)
	}
	const refused, connections = `meshpass_connections_refused_total{cause="connections",listener="sidecar"}`, `meshpass_connections{listener="sidecar"}`
	if got, want := a.metric(t, ops, refused), attempts-(limit-1); got != want {
		t.Errorf("%d connections were refused, want %d", got, want)
	}
	if got := a.metric(t, ops, connections); got != limit {
		t.Errorf("%d connections are open, want %d", got, limit)
	}
	connected.ask(t)
	a.newPeer(t, "127.0.0.4").ask(t) // takes the place of one of the many
	if got, want := a.metric(t, ops, refused), attempts-(limit-1)+1; got != want {
		t.Errorf("%d connections were refused, want %d", got, want)
	}
	if log := a.readLog(t); strings.Count(log, `"msg":"connections near their limit"`) != 1 {
		t.Errorf("log: %s", log)
	}
	if got := mustGet(a.Memory())(t); got.Peak > 256<<20 {
		t.Errorf("%d MiB of memory, want at most 256", got.Peak>>20)
	}
	flood.closeAll()
	a.awaitMetric(t, ops, connections, 2)
	connected.ask(t)
	a.awaitEnd(t, 0)
}

// openConnections opens n HTTP/2 connections from an address, and returns those that the server serves.
func (a *alone) openConnections(t *testing.T, from string, n int) *connections {
	t.Helper()
	var (
		open    connections
		workers sync.WaitGroup
	)
	t.Cleanup(open.closeAll)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	for range 50 {
		workers.Go(func() {
			for range n / 50 {
				conn, err := dialer.Dial("tcp", a.grpc)
				if err != nil {
					t.Error(err)
					return
				}
				if isServed(conn) {
					open.add(conn)
				} else {
					_ = conn.Close() // the peer was first
				}
			}
		})
	}
	workers.Wait()
	return &open
}

// isServed begins HTTP/2 on a connection, and reports whether the server does so too.
func isServed(conn net.Conn) bool {
	_ = conn.SetDeadline(time.Now().Add(patience)) // fails only on a closed connection
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return false
	}
	framer := http2.NewFramer(conn, conn)
	if framer.WriteSettings() != nil {
		return false
	}
	_, err := framer.ReadFrame()
	return err == nil
}

// Peers that connect and send nothing, or stop in the middle of a Check, hold up no other peer, no probe and not the end. A
// connection on which nothing is sent is closed, and a Check that does not arrive is answered at its deadline.
func TestSlowAndHalfOpenClients(t *testing.T) {
	t.Parallel()
	const each = 100
	a := startAlone(t, aloneSetup{sections: "limits: {deadline: 2s}"})
	ops, connected := newOpsClient(t), a.newPeer(t, "127.0.0.3")
	var silent connections
	t.Cleanup(silent.closeAll)
	stranger := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}
	for range each {
		silent.add(mustGet(stranger.Dial("tcp", a.grpc))(t))
	}
	for range 2 * each { // twice as many as the probes have room for
		silent.add(mustGet(stranger.Dial("tcp", a.ops))(t))
	}
	if status, page := a.get(t, newOpsClient(t), "/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d %s", status, page)
	}
	answers := make(chan string, each)
	for range each {
		go func() { answers <- a.sendHalfCheck(t.Context()) }()
	}
	const inFlight = "meshpass_checks_in_flight"
	eventually(t, "half-sent Checks are in flight", func() bool { return a.metric(t, ops, inFlight) > 0 })
	for range 20 {
		connected.ask(t)
	}
	for range each {
		if got := <-answers; got != "503 deadline_exceeded" {
			t.Errorf("a Check that does not arrive got %s", got)
		}
	}
	a.awaitMetric(t, ops, inFlight, 0)
	if log := a.readLog(t); !strings.Contains(log, `"msg":"check denied without a decision","listener":"sidecar","reason":"deadline_exceeded"`) {
		t.Errorf("the log does not name the peers: %s", log)
	}
	for _, conn := range silent.open {
		_ = conn.SetReadDeadline(time.Now().Add(patience)) // fails only on a closed connection
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a connection on which nothing is sent stays open")
		}
	}
	connected.ask(t)
	a.awaitEnd(t, 0)
}

// sendHalfCheck sends half of a Check, and returns the answer to it.
func (a *alone) sendHalfCheck(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	message, err := proto.Marshal(checks.New(a.token))
	if err != nil {
		return err.Error()
	}
	body, sender := io.Pipe()
	defer sender.Close()
	go func() {
		prefix := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
		_, _ = sender.Write(append(prefix, message[:len(message)/2]...)) // fails when the answer has come
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.grpc+auth.Authorization_Check_FullMethodName, body)
	if err != nil {
		return err.Error()
	}
	request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil || len(data) < 5 {
		return fmt.Sprintf("%d bytes, %v, %v", len(data), err, response.Trailer)
	}
	var answer auth.CheckResponse
	if err := proto.Unmarshal(data[5:], &answer); err != nil {
		return err.Error()
	}
	return checks.AnswerText(&answer)
}

// watchHealth opens a stream that its peer never ends.
func (a *alone) watchHealth(t *testing.T) {
	t.Helper()
	conn := mustGet(grpc.NewClient(a.grpc, grpc.WithTransportCredentials(insecure.NewCredentials())))(t)
	stopAtEnd(t, conn.Close)
	stream := mustGet(healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{}))(t)
	if got := mustGet(stream.Recv())(t); got.Status != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v", got)
	}
}

// The folder of all files disappears, as with a volume that is lost. The last good state decides, and a start fails. When
// the folder is back, changes in it are followed again.
func TestTheConfigurationFolderVanishes(t *testing.T) {
	t.Parallel()
	a := startAlone(t, aloneSetup{})
	ops, connected := newOpsClient(t), a.newPeer(t, "127.0.0.3")
	connected.ask(t)
	sources := []string{"config", "policies", "jwks"}
	for _, source := range sources {
		a.awaitMetric(t, ops, fmt.Sprintf("meshpass_reload_current{source=%q}", source), 1)
	}
	moved := a.files + ".lost"
	must(t, os.Rename(a.files, moved))
	for _, source := range sources {
		a.awaitMetric(t, ops, fmt.Sprintf("meshpass_reload_current{source=%q}", source), 0)
	}
	connected.ask(t)
	if status, page := a.get(t, ops, "/readyz"); status != http.StatusOK || !strings.Contains(page, "no such file or directory") {
		t.Errorf("/readyz: %d %s", status, page)
	}
	second := a.spec(t, "")
	second.Stderr = a.log + ".second"
	failed := mustGet(process.Start(second))(t)
	<-failed.Done()
	if err := failed.Err(); !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("a start without the files: %v", err)
	}
	must(t, os.Rename(moved, a.files))
	policy := filepath.Join(a.files, "policies", "orders.yaml")
	shipped := mustGet(os.ReadFile(policy))(t)
	must(t, os.WriteFile(policy, bytes.Replace(shipped, []byte("effect: allow"), []byte("effect: deny"), 1), 0o600))
	for _, source := range sources {
		a.awaitMetric(t, ops, fmt.Sprintf("meshpass_reload_current{source=%q}", source), 1)
	}
	eventually(t, "the changed policy decides", func() bool {
		got, _ := connected.askWith(t.Context(), a.token)
		return got == "403 rule_denied"
	})
	a.awaitEnd(t, 0)
}

// hangingServer accepts connections, reads them, and never answers. It returns its address.
func hangingServer(t *testing.T) (address string, asked func() int) {
	t.Helper()
	listener := mustGet(net.Listen("tcp", "127.0.0.1:0"))(t)
	var (
		open connections
		mu   sync.Mutex
		n    int
	)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			open.add(conn)
			mu.Lock()
			n++
			mu.Unlock()
			go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); open.closeAll() }) // of a test that ends
	return listener.Addr().String(), func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// partner is a trust entry whose key set is at an address, over plain HTTP.
func partner(address string) string {
	return fmt.Sprintf(`  - {issuer: "https://partner.example", audience: demo.meshpass.dev, jwks: {url: "http://%s/keys", refresh: 1s}, subjects: [partner], requesters: ["spiffe://partner.example/ns/edge/sa/tyk-gateway"]}`, address)
}

const overHTTP = patientChecks + "\ninsecure: {jwksOverHTTP: true}\n"

// A JWKS server that accepts and never answers holds up neither the start nor decisions about other issuers' tokens. Each
// fetch ends by itself, and is counted.
func TestAJWKSServerThatHangs(t *testing.T) {
	t.Parallel()
	server, asked := hangingServer(t)
	a := startAlone(t, aloneSetup{trust: partner(server), sections: overHTTP})
	ops, connected := newOpsClient(t), a.newPeer(t, "127.0.0.3")
	eventually(t, "the server is asked", func() bool { return asked() > 0 })
	for range 20 {
		connected.ask(t)
	}
	if status, page := a.get(t, ops, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, page)
	}
	if got, err := connected.askWith(t.Context(), partnerToken(t)); got != "503 keys_unavailable" {
		t.Errorf("the partner's token: %s, %v", got, err)
	}
	a.awaitEnd(t, 0)
}

// A name server that takes questions and never answers is the same. The program runs with a resolv.conf of its own.
func TestANameServerThatHangs(t *testing.T) {
	if exec.Command("unshare", "--mount", "true").Run() != nil {
		t.Skip("NOT RUN: a name server that hangs: needs root, for port 53")
	}
	t.Parallel()
	host := mustGet(subnet.Claim())(t)
	stopAtEnd(t, host.Release)
	server := mustGet(net.ListenPacket("udp", host.Addr(53)+":53"))(t)
	var asked atomic.Int64
	go func() {
		for question := make([]byte, 512); ; asked.Add(1) {
			if _, _, err := server.ReadFrom(question); err != nil {
				return // closed
			}
		}
	}()
	stopAtEnd(t, server.Close)
	a := startAlone(t, aloneSetup{trust: partner("keys.partner.example"), sections: overHTTP, nameServer: host.Addr(53)})
	ops, connected := newOpsClient(t), a.newPeer(t, "127.0.0.3")
	if asked.Load() == 0 {
		t.Error("the name server was not asked before the authorizer served")
	}
	for range 20 {
		connected.ask(t)
	}
	if status, page := a.get(t, ops, "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, page)
	}
	if got, err := connected.askWith(t.Context(), partnerToken(t)); got != "503 keys_unavailable" {
		t.Errorf("the partner's token: %s, %v", got, err)
	}
	if _, page := a.get(t, ops, "/metrics"); strings.Contains(page, `meshpass_jwks_fetch_failures_total{cause="unreachable",issuer="https://partner.example"} 0`) {
		t.Error("the failed fetch is not counted")
	}
	a.awaitEnd(t, 0)
}

// SIGTERM ends the process within its stated time although everything beside it hangs: the reader of standard output, a JWKS
// server, Redis, peers that send nothing or half a Check, and a health watch.
func TestSIGTERMWhileEverythingHangs(t *testing.T) {
	t.Parallel()
	jwks, _ := hangingServer(t)
	redis, askedRedis := hangingServer(t)
	pipe := filepath.Join(t.TempDir(), "stdout")
	must(t, syscall.Mkfifo(pipe, 0o600))
	held := mustGet(os.OpenFile(pipe, os.O_RDWR, 0))(t) // or the process would have no standard output
	defer held.Close()
	a := startAlone(t, aloneSetup{
		trust: partner(jwks), stdout: pipe,
		sections: overHTTP + "revocation: {redis: {address: \"" + redis + "\"}, maxStale: 1h, onStale: allow}\n",
	})
	connected := a.newPeer(t, "127.0.0.3")
	for range 500 { // more than the pipe holds
		connected.ask(t)
	}
	eventually(t, "Redis is asked", func() bool { return askedRedis() > 0 })
	var silent connections
	t.Cleanup(silent.closeAll)
	for range 20 {
		silent.add(mustGet(net.Dial("tcp", a.grpc))(t))
		go a.sendHalfCheck(t.Context())
	}
	a.watchHealth(t)
	a.awaitEnd(t, 0)
	if log := a.readLog(t); !strings.Contains(log, `"msg":"stopped"`) || !strings.Contains(log, "audit records are lost at the end") {
		t.Errorf("log: %s", log)
	}
}

// SIGTERM ends a start too, here one that waits for the first answer of a JWKS server.
func TestSIGTERMDuringTheStart(t *testing.T) {
	t.Parallel()
	server, asked := hangingServer(t)
	a := launchAlone(t, aloneSetup{trust: partner(server), sections: overHTTP})
	eventually(t, "the server is asked", func() bool { return asked() > 0 })
	a.awaitEnd(t, 2)
	if log := a.readLog(t); !strings.Contains(log, "stopped before all files were read") || strings.Contains(log, `"msg":"serving"`) {
		t.Errorf("log: %s", log)
	}
}
