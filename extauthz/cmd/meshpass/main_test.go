package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/lockedbuffer"
)

// The tests of signals and exit codes start this very test binary as meshpass.
const asMain = "MESHPASS_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"meshpass": main})
}

func TestCommands(t *testing.T) {
	const invalid = "../../internal/app/testdata/invalid-empty.yaml"
	rows := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // prefixes; see: the last line
		see            string // whose --help is named; empty: no command
	}{
		{"nothing", nil, 2, "", "no command: want one of serve, config, keys, token, policy, revoke, audit, services, tyk, istio, lint, rbac, routes, rehearse, trace, doctor, status, health, version", "meshpass"},
		{"unknown command", []string{"server"}, 2, "", `unknown command "server" (did you mean "serve"?)`, "meshpass"},
		{"help", []string{"help"}, 0, "Meshpass verifies the internal tokens", "", ""},
		{"--help", []string{"--help"}, 0, "Meshpass verifies the internal tokens", "", ""},
		{"help of serve", []string{"serve", "--help"}, 0, "Answers Envoy's ext_authz Checks", "", ""},
		{"help of keys", []string{"keys", "--help"}, 0, "Makes, rotates, publishes", "", ""},
		{"help of keys new", []string{"keys", "new", "--help"}, 0, "Adds a signing key", "", ""},
		{"help of keys publish", []string{"keys", "publish", "-h"}, 0, "Writes the key set", "", ""},
		{"help of health", []string{"health", "--help"}, 0, "Asks a running authorizer", "", ""},
		{"unknown flag", []string{"serve", "--confg", "x"}, 2, "", "unknown flag --confg (did you mean --config?)", "meshpass serve"},
		{"no file", []string{"serve"}, 2, "", "serve needs --config FILE", "meshpass serve"},
		{"a delay below zero", []string{"serve", "--config", "x", "--drain-delay", "-1s"}, 2, "", "--drain-delay must not be negative", "meshpass serve"},
		{"a delay that is none", []string{"serve", "--config", "x", "--drain-delay", "soon"}, 2, "", `invalid value "soon" for --drain-delay: write a duration such as 30s, 12h or 7d`, "meshpass serve"},
		{"extra argument", []string{"serve", "--config", "x", "y"}, 2, "", `unexpected argument "y"`, "meshpass serve"},
		{"keys of what", []string{"keys"}, 2, "", "keys needs a command: new, rotate, status or publish", "meshpass keys"},
		{"a command of keys that is not there", []string{"keys", "turn"}, 2, "", `unknown command "keys turn": want one of new, publish, rotate, status`, "meshpass keys"},
		{"help of keys rotate", []string{"keys", "rotate", "--help"}, 0, "Makes the next key", "", ""},
		{"help of keys status", []string{"keys", "status", "--help"}, 0, "Shows which key signs", "", ""},
		{"keys rotate without a folder", []string{"keys", "rotate"}, 2, "", "keys rotate needs --dir DIR, or --kubernetes without --dir and --out", "meshpass keys rotate"},
		{"keys rotate, in two places", []string{"keys", "rotate", "--kubernetes", "--dir", "x"}, 2, "", "keys rotate needs --dir DIR, or --kubernetes without --dir and --out", "meshpass keys rotate"},
		{"keys rotate, leaked, on time", []string{"keys", "rotate", "--dir", "x", "--kid", "y"}, 2, "", "--kid names a key that leaked: it goes with --now", "meshpass keys rotate"},
		{"keys status without a folder", []string{"keys", "status"}, 2, "", "keys status needs --dir DIR, or --kubernetes without --dir and --out", "meshpass keys status"},
		{"keys status, no such folder", []string{"keys", "status", "--dir", "absent"}, 2, "", "signing keys: open absent/keys.yaml: no such file or directory", ""},
		{"keys new without a folder", []string{"keys", "new"}, 2, "", "keys new needs --dir DIR", "meshpass keys new"},
		{"keys new, odd output", []string{"keys", "new", "--dir", "x", "-o", "yaml"}, 2, "", `invalid value "yaml" for -o: want text or json`, "meshpass keys new"},
		{"keys publish without a folder", []string{"keys", "publish"}, 2, "", "keys publish needs --dir DIR", "meshpass keys publish"},
		{"keys publish, a report of nothing", []string{"keys", "publish", "--dir", "x", "-o", "json"}, 2, "{", "-o json prints the report of --out FILE; without --out the key set is printed, which is JSON", "meshpass keys publish"},
		{"keys publish, no such folder", []string{"keys", "publish", "--dir", "absent"}, 2, "", "signing keys: open absent/keys.yaml: no such file or directory", ""},
		{"help of revoke", []string{"revoke", "--help"}, 0, "Puts users, sessions", "", ""},
		{"revoke what", []string{"revoke"}, 2, "", "revoke needs a command: sub, sid, kid, txn, remove, list or init", "meshpass revoke"},
		{"help of token", []string{"token", "--help"}, 0, "Inspects and verifies internal tokens", "", ""},
		{"help of token inspect", []string{"token", "inspect", "--help"}, 0, "Prints header, claims and times", "", ""},
		{"help of token verify", []string{"token", "verify", "--help"}, 0, "Says whether an authorizer", "", ""},
		{"help of token mint", []string{"token", "mint", "--help"}, 0, "Mints a token for a test", "", ""},
		{"token of what", []string{"token"}, 2, "", "token needs a command: inspect, verify or mint", "meshpass token"},
		{"a command of token that is not there", []string{"token", "read"}, 2, "", "token has no such command: want one of inspect, mint, verify", "meshpass token"},
		{"token inspect, odd output", []string{"token", "inspect", "-o", "yaml"}, 2, "", `invalid value "yaml" for -o: want text or json`, "meshpass token inspect"},
		{"token verify by what", []string{"token", "verify"}, 2, "", "token verify needs --config FILE", "meshpass token verify"},
		{"token mint without keys", []string{"token", "mint"}, 2, "", "token mint needs --dir", "meshpass token mint"},
		{"token mint with an argument", []string{"token", "mint", "x"}, 2, "", "too many arguments: at most 0", "meshpass token mint"},
		{"health of what", []string{"health", "x"}, 2, "", `unexpected argument "x"`, "meshpass health"},
		{"health of no address", []string{"health", "--ops", "a b"}, 2, "", `--ops: "a b" is not an address of ops: write 127.0.0.1:9090, or a URL such as http://127.0.0.1:9090`, "meshpass health"},
		{"version of what", []string{"version", "all"}, 2, "", `unexpected argument "all"`, "meshpass version"},
		{"absent configuration", []string{"serve", "--config", "absent.yaml"}, 2, "", "configuration: open absent.yaml: no such file or directory", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := ran(t, row.args...)
			want := ""
			if row.stderr != "" {
				want = "meshpass: " + row.stderr + "\n"
			}
			if row.see != "" {
				want += "see " + row.see + " --help\n"
			}
			if code != row.code || !strings.HasPrefix(stdout, row.stdout) || (stdout == "") != (row.stdout == "") || stderr != want {
				t.Errorf("got %d\nstdout: %s\nstderr: %s", code, stdout, stderr)
			}
		})
	}
	want := invalid + ": the file is empty\nmeshpass: the configuration is rejected: 1 to fix, nothing was started\n"
	if code, stdout, stderr := ran(t, "serve", "--config", invalid); code != 2 || stdout != "" || stderr != want {
		t.Errorf("rejected configuration: got %d, %s%s", code, stdout, stderr)
	}
}

func TestVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"version"}, strings.NewReader(""), &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "meshpass ") {
		t.Errorf("got %d, %s, %s", code, &stdout, &stderr)
	}
}

// Both signals end the process with 0, and stdout, where the audit trail goes,
// has not one line without a request.
func TestSignals(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			var stdout bytes.Buffer
			process := exec.CommandContext(t.Context(), os.Args[0], "serve", "--config", "../../internal/app/testdata/minimal.yaml")
			process.Env = append(os.Environ(), asMain+"=1")
			process.Stdout = &stdout
			stderr, err := process.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			log := bufio.NewScanner(stderr)
			waitFor(t, log, `"msg":"serving"`)
			if err := process.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			waitFor(t, log, `"msg":"stopped"`)
			if err := process.Wait(); err != nil {
				t.Errorf("exit: %v", err)
			}
			if stdout.Len() > 0 {
				t.Errorf("stdout: %s", &stdout)
			}
		})
	}
}

// Without descriptors for all connections, the start warns: those that find no descriptor would wait.
func TestTooFewDescriptorsWarn(t *testing.T) {
	for limit, want := range map[string]bool{"1191": true, "1192": false} { // 1000 connections, 128 handshakes, 64 files
		t.Run(limit, func(t *testing.T) {
			process := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -n "$0" && exec "$@"`, limit, os.Args[0], "serve", "--config", "../../internal/app/testdata/minimal.yaml")
			process.Env = append(os.Environ(), asMain+"=1")
			stderr, err := process.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := process.Start(); err != nil {
				t.Fatal(err)
			}
			log, warned := bufio.NewScanner(stderr), false
			for log.Scan() && !strings.Contains(log.Text(), `"msg":"serving"`) {
				if strings.Contains(log.Text(), `"msg":"limits.connections and files need more descriptors than the process may open: `) {
					warned = strings.Contains(log.Text(), `"needed":1192,"limit":`+limit)
				}
			}
			if warned != want {
				t.Errorf("warned: %v", warned)
			}
			if err := process.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			waitFor(t, log, `"msg":"stopped"`)
			if err := process.Wait(); err != nil {
				t.Errorf("exit: %v", err)
			}
		})
	}
}

func waitFor(t *testing.T, log *bufio.Scanner, text string) {
	t.Helper()
	for log.Scan() {
		if strings.Contains(log.Text(), text) {
			return
		}
	}
	t.Fatalf("the log ended without %s", text)
}

// A command that waits for a file ends when it is interrupted, at once and with 2.
func TestACommandThatHangsIsInterrupted(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr lockedbuffer.Buffer // the command that was left behind may still write
	code := runUntil(ctx, []string{"policy", "explain", shipped, "--record", pipe}, strings.NewReader(""), &stdout, &stderr)
	if code != exitCouldNot || stderr.String() != "meshpass: interrupted\n" {
		t.Errorf("got %d, %s", code, stderr.String())
	}
	writer, err := os.OpenFile(pipe, os.O_WRONLY, 0) // so that nothing is left behind
	if err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
}

// A folder may hold a named pipe. Without the fix lint never ends.
func TestLintOfAFolderWithAPipe(t *testing.T) {
	data, err := os.ReadFile(shipped + "/orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"pipe": "errors: 0", "pipe.yaml": "pipe.yaml: error: pipe.yaml is a named pipe, not a regular file\ndocuments: 1, errors: 1",
		"pipe_test.yaml": "pipe_test.yaml: error: pipe_test.yaml is a named pipe, not a regular file\ndocuments: 1, errors: 1",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "orders.yaml"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, stdout, _ := ran(t, "policy", "lint", dir); !strings.Contains(stdout, want) {
			t.Errorf("%s: got %s", name, stdout)
		}
	}
}
