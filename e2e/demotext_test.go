package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each command that `KEEP=1 KEEP_DIR=DIR make demo` suggests does what the line above it says, in the order of the text. The folder stays.
func TestTextOfTheDemo(t *testing.T) {
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	demo, log := startDemo(t, dir, "Next: docs/tutorial.md", "-keep-dir", kept)
	defer endDemo(t, demo)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	_, suggested, found := strings.Cut(string(text), "Everything runs until Ctrl-C")
	if !found {
		t.Fatalf("%s", text)
	}
	if want := kept + "\nThis folder stays after Ctrl-C."; !strings.Contains(suggested, want) {
		t.Errorf("the text does not contain %q", want)
	}
	var about string
	var commands []string
	variables := ""
	for _, line := range strings.Split(suggested, "\n") {
		line, indented := strings.CutPrefix(line, "  ")
		switch {
		case !indented:
		case strings.HasPrefix(line, "# "):
			about = line
		case variables == "":
			variables = line
		default:
			commands = append(commands, about+"\n"+line)
		}
	}
	want := []struct {
		output string // its parts
		code   int
	}{
		{"200 OK", 0}, {"200 OK", 0}, {`403 Forbidden … "reason":"token_missing"`, 0}, {`403 Forbidden … "reason":"no_rule"`, 0},
		{"denied at ns/shop/sa/orders: no_rule … ✓ edge/orders-jwt … allow issued … ✗ ns/shop/sa/orders … deny no_rule … 403 by Envoy in … ext_authz_denied", 0},
		{"deny no_rule … when  claims.tctx.tenant == path.tenant  has  claims.tctx.tenant = acme, path.tenant = globex", 1}, {"documents 3", 0},
		{"", 0}, {`403 Forbidden … "refused_by":"inventory"`, 0}, {"deny no_rule … of ns/shop/sa/inventory … when  claims.tctx.tenant == path.tenant", 1},
		{"", 0}, {`orders (policies/orders.yaml) is rejected: the previous version stays active … policies/orders.yaml:12:7: unknown key "scopess"`, 1}, {"200 OK", 0},
		{"", 0}, {"12 passed", 0}, {"documents 3", 0},
	}
	if len(commands) != len(want) {
		t.Fatalf("the text has %d commands, want %d: %q", len(commands), len(want), commands)
	}
	for i, command := range commands {
		awaitOutput(t, variables+"\n"+command, want[i].output, want[i].code)
	}
}

// awaitOutput runs a command until it exits with the code and its output contains the parts of want, in their order: a change
// of a policy is active within a second. A command that prints nothing runs once.
func awaitOutput(t *testing.T, command, want string, code int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
		output, err := cmd.CombinedOutput()
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == code && containsParts(string(output), strings.Split(want, " … ")) && (want != "" || len(output) == 0) {
			return
		}
		if want == "" || time.Now().After(deadline) {
			t.Fatalf("%s\n%s%v\nwant %s, and exit code %d", command, output, err, want, code)
		}
	}
}

func containsParts(text string, parts []string) bool {
	for _, part := range parts {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return true
}

// A folder that holds files is rejected, and stays as it is.
func TestTheDemoRejectsAFolderWithFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "policies")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), demoProgram(t), "-keep-dir", dir).CombinedOutput()
	if want := fmt.Sprintf("demo: local mesh: %s is not empty: remove it, or name another folder\n", dir); err == nil || !strings.HasSuffix(string(output), want) {
		t.Errorf("got %v\n%s", err, output)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("got %v, %v", files, err)
	}
}
