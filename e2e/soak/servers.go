package soak

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/meshpass/meshpass/internal/process"
)

// keySetServer serves the published key set. While it is killed, connections are refused.
type keySetServer struct {
	address, file string
	server        *http.Server
}

func newKeySetServer() (*keySetServer, error) {
	address, err := freeAddress()
	return &keySetServer{address: address}, err
}

func (s *keySetServer) url() string { return "http://" + s.address + "/jwks.json" }

func (s *keySetServer) start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	s.server = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, s.file) })}
	go func() { _ = s.server.Serve(listener) }() // ends when closed
	return nil
}

func (s *keySetServer) kill() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// redisServer holds the list of revocations. It is redis-server if that is on PATH, and else the embedded
// miniredis.
type redisServer struct {
	address, dir string
	program      string // empty: the embedded one
	process      *process.Proc
	embedded     *miniredis.Miniredis
}

func newRedis() (*redisServer, error) {
	address, err := freeAddress()
	r := &redisServer{address: address}
	if program, err := exec.LookPath("redis-server"); err == nil {
		r.program = program
	}
	return r, err
}

func (r *redisServer) start(ctx context.Context) error {
	if r.program != "" {
		return r.startProgram(ctx)
	}
	var err error
	if r.embedded != nil {
		err = r.embedded.Restart()
	} else {
		r.embedded = miniredis.NewMiniRedis()
		err = r.embedded.StartAddr(r.address)
	}
	if err != nil {
		return err
	}
	// miniredis does not know ROLE, which an authorizer needs to start.
	return r.embedded.Server().Register("ROLE", func(c *server.Peer, _ string, _ []string) {
		c.WriteLen(3)
		c.WriteBulk("master")
		c.WriteInt(0)
		c.WriteLen(0)
	})
}

// startProgram starts redis-server. Its data survives a kill.
func (r *redisServer) startProgram(ctx context.Context) error {
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return err
	}
	log := filepath.Join(r.dir, "redis.log")
	r.process, err = process.Start(process.Spec{Name: "redis-server", Path: r.program, Stdout: log, Stderr: log, Dir: r.dir,
		Args: strings.Fields("--bind " + host + " --port " + port + " --appendonly yes --appendfsync always")})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return r.process.AwaitReady(ctx, process.NewListeningCheck(r.address))
}

func (r *redisServer) kill() error {
	switch {
	case r.process != nil:
		r.process.Kill()
	case r.embedded != nil:
		r.embedded.Close()
	}
	return nil
}

// freeAddress returns an address on loopback that is not in use.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
