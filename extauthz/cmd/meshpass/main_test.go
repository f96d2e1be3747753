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
)

// The tests of signals and exit codes start this very test binary as meshpass.
const asMain = "MESHPASS_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestCommands(t *testing.T) {
	const invalid = "../../app/testdata/invalid-empty.yaml"
	rows := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"nothing", nil, 2, "", "meshpass: no command\n" + usage},
		{"unknown command", []string{"server"}, 2, "", "meshpass: unknown command \"server\"\n" + usage},
		{"help", []string{"help"}, 0, usage, ""},
		{"--help", []string{"--help"}, 0, usage, ""},
		{"help of serve", []string{"serve", "--help"}, 0, serveUsage, ""},
		{"help of keys", []string{"keys", "--help"}, 0, keysUsage, ""},
		{"help of keys new", []string{"keys", "new", "--help"}, 0, keysNewUsage, ""},
		{"help of keys publish", []string{"keys", "publish", "-h"}, 0, keysPublishUsage, ""},
		{"help of health", []string{"health", "--help"}, 0, healthUsage, ""},
		{"unknown flag", []string{"serve", "--confg", "x"}, 2, "", "meshpass: flag provided but not defined: -confg\n" + serveUsage},
		{"no file", []string{"serve"}, 2, "", "meshpass: serve needs --config FILE\n" + serveUsage},
		{"a delay below zero", []string{"serve", "--config", "x", "--drain-delay", "-1s"}, 2, "", "meshpass: --drain-delay must not be negative\n" + serveUsage},
		{"a delay that is none", []string{"serve", "--config", "x", "--drain-delay", "soon"}, 2, "", "meshpass: invalid value \"soon\" for flag -drain-delay: write a duration such as 30s, 12h or 7d\n" + serveUsage},
		{"extra argument", []string{"serve", "--config", "x", "y"}, 2, "", "meshpass: unexpected argument \"y\"\n" + serveUsage},
		{"keys of what", []string{"keys"}, 2, "", "meshpass: keys needs a command\n" + keysUsage},
		{"a command of keys that is not there", []string{"keys", "turn"}, 2, "", "meshpass: unknown command \"keys turn\"\n" + keysUsage},
		{"help of keys rotate", []string{"keys", "rotate", "--help"}, 0, keysRotateUsage, ""},
		{"help of keys status", []string{"keys", "status", "--help"}, 0, keysStatusUsage, ""},
		{"keys rotate without a folder", []string{"keys", "rotate"}, 2, "", "meshpass: keys rotate needs --dir DIR, or --kubernetes without --dir and --out\n" + keysRotateUsage},
		{"keys rotate, in two places", []string{"keys", "rotate", "--kubernetes", "--dir", "x"}, 2, "", "meshpass: keys rotate needs --dir DIR, or --kubernetes without --dir and --out\n" + keysRotateUsage},
		{"keys rotate, leaked, on time", []string{"keys", "rotate", "--dir", "x", "--kid", "y"}, 2, "", "meshpass: --kid names a key that leaked: it goes with --now\n" + keysRotateUsage},
		{"keys status without a folder", []string{"keys", "status"}, 2, "", "meshpass: keys status needs --dir DIR, or --kubernetes without --dir and --out\n" + keysStatusUsage},
		{"keys status, no such folder", []string{"keys", "status", "--dir", "absent"}, 2, "", "meshpass: signing keys: open absent/keys.yaml: no such file or directory\n"},
		{"keys new without a folder", []string{"keys", "new"}, 2, "", "meshpass: keys new needs --dir DIR\n" + keysNewUsage},
		{"keys new, odd output", []string{"keys", "new", "--dir", "x", "-o", "yaml"}, 2, "", "meshpass: -o yaml: want json\n" + keysNewUsage},
		{"keys publish without a folder", []string{"keys", "publish"}, 2, "", "meshpass: keys publish needs --dir DIR\n" + keysPublishUsage},
		{"keys publish, a report of nothing", []string{"keys", "publish", "--dir", "x", "-o", "json"}, 2, "", "meshpass: -o json: want json, and --out FILE\n" + keysPublishUsage},
		{"keys publish, no such folder", []string{"keys", "publish", "--dir", "absent"}, 2, "", "meshpass: signing keys: open absent/keys.yaml: no such file or directory\n"},
		{"help of revoke", []string{"revoke", "--help"}, 0, revokeUsage, ""},
		{"revoke what", []string{"revoke"}, 2, "", "meshpass: revoke needs a command\n" + revokeUsage},
		{"help of token", []string{"token", "--help"}, 0, tokenUsage, ""},
		{"help of token inspect", []string{"token", "inspect", "--help"}, 0, tokenInspectUsage, ""},
		{"help of token verify", []string{"token", "verify", "--help"}, 0, tokenVerifyUsage, ""},
		{"help of token mint", []string{"token", "mint", "--help"}, 0, tokenMintUsage, ""},
		{"token of what", []string{"token"}, 2, "", "meshpass: token needs a command\n" + tokenUsage},
		{"a command of token that is not there", []string{"token", "read"}, 2, "", "meshpass: token has no such command\n" + tokenUsage},
		{"token inspect, odd output", []string{"token", "inspect", "-o", "yaml"}, 2, "", "meshpass: -o yaml: want json\n" + tokenInspectUsage},
		{"token verify by what", []string{"token", "verify"}, 2, "", "meshpass: token verify needs --config FILE\n" + tokenVerifyUsage},
		{"token mint without keys", []string{"token", "mint"}, 2, "", "meshpass: token mint needs --dir\n" + tokenMintUsage},
		{"token mint with an argument", []string{"token", "mint", "x"}, 2, "", "meshpass: unexpected argument \"x\"\n" + tokenMintUsage},
		{"health of what", []string{"health", "x"}, 2, "", "meshpass: unexpected argument \"x\"\n" + healthUsage},
		{"health of no address", []string{"health", "--ops", "a b"}, 2, "", "meshpass: --ops: \"a b\" is no address of ops: write 127.0.0.1:9090, or a URL such as http://127.0.0.1:9090\n" + healthUsage},
		{"version of what", []string{"version", "all"}, 2, "", "meshpass: version takes no arguments\n" + usage},
		{"refused configuration", []string{"serve", "--config", invalid}, 2, "",
			invalid + ": the file is empty\nmeshpass: the configuration is refused: 1 to mend, nothing was started\n"},
		{"absent configuration", []string{"serve", "--config", "absent.yaml"}, 2, "",
			"meshpass: configuration: open absent.yaml: no such file or directory\n"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), row.args, &stdout, &stderr)
			if code != row.code || stdout.String() != row.stdout || stderr.String() != row.stderr {
				t.Errorf("got %d\nstdout: %s\nstderr: %s", code, &stdout, &stderr)
			}
		})
	}
}

func TestVersion(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"version"}, &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "meshpass ") {
		t.Errorf("got %d, %s, %s", code, &stdout, &stderr)
	}
}

// Both signals end the process with 0, and stdout, where the audit trail goes,
// has not one line without a request.
func TestSignals(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			var stdout bytes.Buffer
			process := exec.CommandContext(t.Context(), os.Args[0], "serve", "--config", "../../app/testdata/minimal.yaml")
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
	var stdout, stderr bytes.Buffer
	code := runUntil(ctx, []string{"policy", "explain", shipped, "--record", pipe}, &stdout, &stderr)
	if code != couldNot || stderr.String() != "meshpass: interrupted\n" {
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
	dir := t.TempDir()
	data, err := os.ReadFile(shipped + "/orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"pipe": "errors: 0", "pipe.yaml": "pipe.yaml: error: pipe.yaml is a named pipe, not a regular file", "pipe_test.yaml": "pipe_test.yaml: error: "} {
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
