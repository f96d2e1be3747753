package fidelity_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
)

// answer is what the recorder says to a Check.
type answer func() (*auth.CheckResponse, error)

// allow is the least answer that lets a request in.
func allow() (*auth.CheckResponse, error) { return &auth.CheckResponse{Status: &rpc.Status{}}, nil }

// recorder is an authorizer that gives any configured answer and stores
// what it was asked.
type recorder struct {
	auth.UnimplementedAuthorizationServer
	mu     sync.Mutex
	answer answer
	asked  []*auth.CheckRequest
}

func newRecorder(t testing.TB, addr string) *recorder {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	must(t, err)
	r := &recorder{answer: allow}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	auth.RegisterAuthorizationServer(server, r)
	go func() { _ = server.Serve(listener) }() // ends when stopped
	t.Cleanup(server.Stop)
	return r
}

func (r *recorder) Check(_ context.Context, request *auth.CheckRequest) (*auth.CheckResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if request.GetAttributes().GetRequest().GetHttp().GetPath() == settled {
		return allow()
	}
	r.asked = append(r.asked, request)
	return r.answer()
}

// says sets the answer from now on, for as long as the test runs.
func (r *recorder) says(t testing.TB, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = a
	t.Cleanup(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.answer = allow
	})
}

// take returns what was asked since the last take.
func (r *recorder) take() []*auth.CheckRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.asked = nil }()
	return slices.Clone(r.asked)
}

// seen is what take would return.
func (r *recorder) seen() []*auth.CheckRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}
