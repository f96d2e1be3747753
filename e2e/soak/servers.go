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

	"github.com/meshpass/meshpass/e2e/process"
)

// keySetServer serves the published key set. Killed, it refuses connections.
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

// redisServer holds the list of revocations: redis-server where there is one, or an embedded one.
type redisServer struct {
	address, dir string
	program      string // absent: embedded
	real         *process.Proc
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
		return r.startReal(ctx)
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
	// miniredis does not know ROLE, without which an authorizer does not start.
	return r.embedded.Server().Register("ROLE", func(c *server.Peer, _ string, _ []string) {
		c.WriteLen(3)
		c.WriteBulk("master")
		c.WriteInt(0)
		c.WriteLen(0)
	})
}

// startReal: what was written survives a kill.
func (r *redisServer) startReal(ctx context.Context) error {
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		return err
	}
	log := filepath.Join(r.dir, "redis.log")
	r.real, err = process.Start(process.Spec{Name: "redis-server", Path: r.program, Stdout: log, Stderr: log, Dir: r.dir,
		Args: strings.Fields("--bind " + host + " --port " + port + " --appendonly yes --appendfsync always")})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return r.real.Await(ctx, func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", r.address)
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

func (r *redisServer) kill() error {
	switch {
	case r.real != nil:
		r.real.Kill()
	case r.embedded != nil:
		r.embedded.Close()
	}
	return nil
}

// freeAddress is one of loopback on which nothing listens.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
