package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// --watch decides the cases again after a change, prints errors of files, and ends with 0 when
// it is interrupted.
func TestPolicyTestWatches(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := ran(t, "policy", "init", dir, "--callee", "ns/shop/sa/orders"); code != 0 {
		t.Fatal(stderr)
	}
	document := filepath.Join(dir, "orders.yaml")
	good, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	write := func(data string) {
		if err := os.WriteFile(document+".new", []byte(data), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(document+".new", document); err != nil {
			t.Error(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr strings.Builder
	onOutput := writerFunc(func(p []byte) (int, error) {
		switch text := string(p); {
		case strings.HasPrefix(text, "5 passed, 0 failed\n"):
			write(strings.Replace(string(good), "scopes", "scops", 1))
		case strings.Contains(text, "2 failed"):
			stop()
		}
		return stdout.Write(p)
	})
	onError := writerFunc(func(p []byte) (int, error) {
		if strings.Contains(string(p), `unknown key "scops"`) {
			write(strings.Replace(string(good), "methods: [GET, HEAD], ", "methods: [POST], ", 1))
		}
		return stderr.Write(p)
	})
	code := run(ctx, []string{"policy", "test", "--watch", dir}, strings.NewReader(""), onOutput, onError)
	const clock = `\d\d:\d\d:\d\d\n`
	want := regexp.MustCompile(`^` + clock + `5 passed, 0 failed\n.*\n` + clock + clock + `FAIL  (?s:.*)3 passed, 2 failed\n.*\n(  never.*\n)?$`)
	if code != 0 || !want.MatchString(stdout.String()) || strings.Count(stderr.String(), "meshpass: ") != 1 {
		t.Errorf("got %d\n%s%s", code, stdout.String(), stderr.String())
	}
}
