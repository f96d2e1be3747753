package check_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/token"
)

// allowAll is the smallest ext_authz service.
type allowAll struct {
	auth.UnimplementedAuthorizationServer
}

func (allowAll) Check(context.Context, *auth.CheckRequest) (*auth.CheckResponse, error) {
	return &auth.CheckResponse{HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{}}}, nil
}

// BenchmarkCheck compares us with a server that allows everything: the same Check over
// loopback gRPC, by parallel clients on one connection, as an Envoy has. The two take turns
// in small batches, so that other load of the machine slows both. "ratio" is our Checks per
// second over those of the other server. Each of our Checks evaluates CEL, makes its record,
// and verifies an ES256 signature unless the token is cached.
func BenchmarkCheck(b *testing.B) {
	server := grpc.NewServer()
	auth.RegisterAuthorizationServer(server, allowAll{})
	theirs := auth.NewAuthorizationClient(serveLoopback(b, server))
	request := newCheck(b)
	for _, row := range []struct{ clients, remembered int }{{1, 0}, {16, 0}, {1, 1000}, {16, 1000}} {
		options := token.Options{Now: fixedClock}
		if row.remembered > 0 {
			options.Cache = token.NewCache(1<<20, row.remembered)
		}
		clients, verifier := row.clients, newVerifierWith(b, options)
		ours := newHop(b, func(c *check.Config) {
			c.Decide.Audit, c.Decide.Verifier = audit.New(io.Discard, audit.Options{}), alwaysReturn(verifier)
		})
		b.Run(fmt.Sprintf("clients=%d/remembered=%v", clients, row.remembered > 0), func(b *testing.B) {
			var we, they time.Duration
			for b.Loop() {
				we += sendBatch(b, ours, request, clients)
				they += sendBatch(b, theirs, request, clients)
			}
			checks := float64(b.N * batchSize)
			b.ReportMetric(checks/we.Seconds(), "meshpass-checks/s")
			b.ReportMetric(checks/they.Seconds(), "allow-all-checks/s")
			b.ReportMetric(they.Seconds()/we.Seconds(), "ratio")
			b.ReportMetric(0, "ns/op") // of two batches: it would only mislead
		})
	}
}

const batchSize = 160

// sendBatch has the clients send their shares and gives the time that it took.
func sendBatch(b *testing.B, client auth.AuthorizationClient, request *auth.CheckRequest, clients int) time.Duration {
	started := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range batchSize / clients {
				answer, err := client.Check(b.Context(), request)
				if err != nil || answer.GetOkResponse() == nil {
					b.Errorf("got %v, %v", answer, err)
				}
			}
		})
	}
	all.Wait()
	return time.Since(started)
}
