package localmesh_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

// The error of a run that cannot start names the part that failed and its log. The parts that were
// started are stopped.
func TestAFailedStartNamesThePart(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var up []string
	_, err := localmesh.Start(contextWithDeadline(t), localmesh.Options{
		Started: func(part string, _ time.Duration) { up = append(up, part) },
		Prepare: func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "meshpass.yaml"), []byte("listeners: []\n"), 0o600)
		},
	})
	if err == nil {
		t.Fatal("started with a configuration that meshpass refuses")
	}
	for _, part := range []string{"local mesh: meshpass: ", "exit status 2", "meshpass.log"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if got := strings.Join(up, ", "); got != "keys and configuration, Redis, OpenID provider" {
		t.Errorf("up before the failure: %s", got)
	}
}

func TestAFailedPreparationIsAnError(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cause := errors.New("no")
	if _, err := localmesh.Start(contextWithDeadline(t), localmesh.Options{Prepare: func(string) error { return cause }}); !errors.Is(err, cause) {
		t.Errorf("err = %v, want %v", err, cause)
	}
}

func TestRedisAddrWithoutAPort(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := localmesh.Start(contextWithDeadline(t), localmesh.Options{RedisAddr: "localhost"})
	if err == nil || !strings.Contains(err.Error(), "REDIS_ADDR must be host:port") {
		t.Errorf("err = %v", err)
	}
}

func contextWithDeadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
