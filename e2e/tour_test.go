// Package e2e_test plays every case against the real gateway, Istio's live control plane, real
// Envoys and the real authorizer.
package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/process"
)

func TestTour(t *testing.T) {
	mesh := start(t, localmesh.Options{Istiod: true, RedisAddr: os.Getenv("REDIS_ADDR")})
	playAll(t, mesh, tour...)
	replayed(t, mesh)
}

// Tyk keeps sessions and rates in Redis by scripts and pipelines, of which an embedded server
// could get something wrong.
func TestTourOnRealRedis(t *testing.T) {
	addr := startRedis(t)
	somebodys := redis.NewClient(&redis.Options{Addr: addr})
	if err := somebodys.Set(t.Context(), "somebody's", "data", 0).Err(); err != nil {
		t.Fatal(err)
	}
	t.Run("tour", func(t *testing.T) { playAll(t, start(t, localmesh.Options{RedisAddr: addr}), tour...) })

	keyspace, err := somebodys.Info(t.Context(), "keyspace").Result()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(keyspace, "db0:keys=1,") || strings.Contains(keyspace, "db1:") {
		t.Errorf("the run did not leave the server as it was:\n%s", keyspace)
	}
}

// start starts a local mesh that ends with the test. Its logs stay when the test has failed.
func start(t *testing.T, o localmesh.Options) *localmesh.Mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	mesh, err := localmesh.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Close(); err != nil {
			t.Error(err)
		}
		audittest.CheckFiles(t, filepath.Join(mesh.Dir(), "*.audit.log"))
		if t.Failed() {
			t.Logf("the logs are in %s", mesh.Dir())
		} else if err := mesh.RemoveDir(); err != nil {
			t.Error(err)
		}
	})
	return mesh
}

// tour lists the folders with the cases of the local mesh in which Tyk has a sidecar.
var tour = []string{"tour", "hostile", "local"}

func playAll(t *testing.T, mesh *localmesh.Mesh, folders ...string) {
	t.Helper()
	var played []scenarios.Exchange
	for _, folder := range folders {
		cases, err := scenarios.LoadShipped(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range cases {
			t.Run(s.Name, func(t *testing.T) { played = append(played, play(t, mesh, s)...) })
		}
	}
	t.Run("nothing came later", func(t *testing.T) {
		for i := range played {
			if err := played[i].ReadOutcome(t.Context(), mesh); err != nil {
				t.Fatal(err)
			}
			expected(t, played[i])
		}
	})
	if err := mesh.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func play(t *testing.T, mesh *localmesh.Mesh, s scenarios.Scenario) []scenarios.Exchange {
	t.Helper()
	played, err := scenarios.Run(t.Context(), mesh, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range played {
		expected(t, e)
	}
	return played
}

func expected(t *testing.T, e scenarios.Exchange) {
	t.Helper()
	for _, problem := range e.Problems {
		t.Errorf("%s: %s %s: %s", e.Request.ID, e.Request.Method, e.Request.Path, problem)
	}
}

// startRedis starts a real server that ends with the test, and returns its address.
func startRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("NOT RUN: the tour on a real Redis: needs redis-server")
	}
	addr, port := freePort(t)
	log := filepath.Join(t.TempDir(), "redis.log")
	server, err := process.Start(process.Spec{
		Name: "redis-server", Path: path, Stdout: log, Stderr: log, Dir: t.TempDir(),
		Args: []string{"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := server.AwaitReady(ctx, process.NewListeningCheck(addr)); err != nil {
		t.Fatal(err)
	}
	return addr
}
