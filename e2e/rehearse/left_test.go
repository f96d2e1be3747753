package rehearse_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// longRehearsal is one that sends until it is ended.
func longRehearsal(t *testing.T) string {
	t.Helper()
	limits, err := filepath.Abs("testdata/limits")
	must(t, err)
	return write(t, t.TempDir(), "rehearsal.yaml", fmt.Sprintf(`
gateway: {apis: %[1]s/apis, policies: %[1]s/policies.json, plugin: %[1]s/plugin.yaml}
authorizer: {config: %[1]s/meshpass.yaml}
keys: {free: {policies: [free], metadata: {developer_id: p, tenant: acme}}}
load: [{name: long, as: free, path: /plain/tenants/acme/orders/1, rate: 5, for: 10m}]
`, limits))
}

// Ctrl-C ends a rehearsal in each of its phases, and a second one and a kill do so at once. No process and no file is left.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	for phase, row := range map[string]struct {
		await  string // on standard error
		signal syscall.Signal
		shared bool // no network namespace
	}{
		"reading records":   {"starting: reading the records", syscall.SIGINT, false},
		"copying":           {"starting: reading", syscall.SIGINT, false},
		"starting Redis":    {"starting: Redis", syscall.SIGINT, false},
		"starting Envoy":    {"starting: Envoy", syscall.SIGTERM, true},
		"starting Tyk":      {"starting: gateway", syscall.SIGINT, false},
		"sending":           {"requests", syscall.SIGINT, true},
		"sending, isolated": {"requests", syscall.SIGINT, false},
		"terminal closed":   {"requests", syscall.SIGHUP, false},
		"killed":            {"requests", syscall.SIGKILL, false},
		"killed, shared":    {"requests", syscall.SIGKILL, true},
	} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			args := []string{longRehearsal(t)}
			if row.shared {
				args = append(args, "--network", "shared")
			}
			if phase == "reading records" {
				args = append(args, "--from", "-")
			}
			cmd := command(t, args...)
			silent, err := cmd.StdinPipe() // until the end
			must(t, err)
			defer silent.Close()
			dir := strings.TrimPrefix(cmd.Env[len(cmd.Env)-1], "TMPDIR=")
			stderr, err := cmd.StderrPipe()
			must(t, err)
			must(t, cmd.Start())
			log := awaitText(t, stderr, row.await)
			must(t, cmd.Process.Signal(row.signal))
			if row.signal == syscall.SIGKILL {
				awaitNone(t, dir)
				_ = cmd.Wait()          // "signal: killed"
				must(t, removeAll(dir)) // a process that is killed removes nothing
				return
			}
			rest := awaitText(t, stderr, "")
			_ = cmd.Wait() // the exit code follows
			if left := findProcesses(t, dir); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(log+rest, "interrupted: everything that was started has ended") {
				t.Errorf("exit code %d\n%s%s", code, log, rest)
			}
		})
	}
}

// A reader of the progress that goes away, as head does, ends a rehearsal like Ctrl-C.
func TestReaderThatGoesAway(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"shared", "auto"} {
		cmd := command(t, longRehearsal(t), "--network", network)
		stderr, err := cmd.StderrPipe()
		must(t, err)
		must(t, cmd.Start())
		awaitText(t, stderr, "starting: Redis")
		must(t, stderr.Close())
		_ = cmd.Wait() // the exit code follows
		if left := findProcesses(t, strings.TrimPrefix(cmd.Env[len(cmd.Env)-1], "TMPDIR=")); len(left) > 0 || cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%s: %v, left: %v", network, cmd.ProcessState, left)
		}
	}
}

// awaitText reads until a text, or to the end for an empty one.
func awaitText(t *testing.T, from interface{ Read([]byte) (int, error) }, text string) string {
	t.Helper()
	var all strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		all.Write(buffer[:n])
		if text != "" && strings.Contains(all.String(), text) {
			return all.String()
		}
		if err != nil {
			if text != "" {
				t.Fatalf("it ended without %q: %s", text, all.String())
			}
			return all.String()
		}
	}
}

// findProcesses finds the processes that work in a folder or below it. All programs of a rehearsal do.
func findProcesses(t *testing.T, dir string) (found []string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	must(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, dir) {
			command, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
			found = append(found, strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

// awaitNone waits until the kernel has ended the programs of a rehearsal that was killed.
func awaitNone(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(findProcesses(t, dir)) > 0 {
		select {
		case <-ctx.Done():
			t.Fatalf("left: %v", findProcesses(t, dir))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func removeAll(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, path := range left {
		err = os.RemoveAll(path)
	}
	return err
}

// tripwire is a server that nothing may connect to.
type tripwire struct {
	address string
	touched atomic.Int64
}

func newTripwire(t *testing.T) *tripwire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w := &tripwire{address: listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.touched.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { must(t, listener.Close()) })
	return w
}

// Nothing connects to an address of the user's files, not even one on loopback: every address has a stand-in, or is not used. The
// definitions name the tripwire in each member that can hold an address. Without a network namespace, the replaced addresses are
// the only protection.
func TestNoAddressIsUsed(t *testing.T) {
	t.Parallel()
	wire := newTripwire(t)
	dir := t.TempDir()
	for _, name := range []string{"tyk.conf", "plugin.yaml", "meshpass.yaml", "rehearsal.yaml", "apis/targets.json", "apis/jwt.json", "apis/oidc.json", "policies/all.yaml", "policies.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", "tripwire", name))
		must(t, err)
		write(t, dir, name, strings.ReplaceAll(string(text), "TRIPWIRE", wire.address))
	}
	r, _ := rehearse(t, 0, filepath.Join(dir, "rehearsal.yaml"), "--network", "shared")
	if n := wire.touched.Load(); n != 0 || r.Isolated {
		t.Errorf("%d connections to addresses of the files, isolated: %v", n, r.Isolated)
	}
	var skipped []string
	for _, change := range r.Changes.NotRun {
		skipped = append(skipped, change.File+" "+change.Part)
	}
	for _, want := range []string{
		"targets.json proxy.service_discovery", "targets.json uptime_tests", "targets.json event_handlers", "targets.json version_data.versions.Default.extended_paths.virtual",
		"targets.json upstream_auth", "targets.json notifications", "targets.json analytics_plugin", "targets.json enable_batch_request_support", "targets.json proxy.preserve_host_header",
		"meshpass.yaml revocation", "meshpass.yaml tracing", "meshpass.yaml trust[1]", "plugin.yaml revocation", "plugin.yaml metrics",
	} {
		if !strings.Contains(strings.Join(skipped, "\n")+"\n", want+"\n") {
			t.Errorf("not listed: %s; listed:\n%s", want, strings.Join(skipped, "\n"))
		}
	}
	for _, change := range r.Changes.Replaced {
		if strings.Contains(change.Now, wire.address) {
			t.Errorf("replaced by itself: %+v", change)
		}
	}
}

// In its network namespace a rehearsal cannot reach a server of this machine that listens on loopback, so it can reach no other machine.
func TestIsolation(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "--user", "--net", "true").Run(); err != nil {
		t.Skip("NOT RUN: rehearsals in a network namespace, without user namespaces: needs root")
	}
	limits, err := filepath.Abs("testdata/limits")
	must(t, err)
	file := write(t, t.TempDir(), "rehearsal.yaml", fmt.Sprintf(`
gateway: {apis: %[1]s/apis, policies: %[1]s/policies.json, plugin: %[1]s/plugin.yaml}
authorizer: {config: %[1]s/meshpass.yaml}
keys: {free: {policies: [free], metadata: {developer_id: p, tenant: acme}}}
load: [{name: one, as: free, path: /plain/tenants/acme/orders/1, burst: 1, expect: {status: {200: 1}}}]
`, limits))
	if r, _ := rehearse(t, 0, file, "--network", "isolated"); !r.Isolated {
		t.Error("it was not isolated")
	}
}
