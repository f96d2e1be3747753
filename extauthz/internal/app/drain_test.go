package app

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // has the client watch the health of each server
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	"github.com/meshpass/meshpass/extauthz/internal/check"
)

// Clients of two servers lose no Check while one of them is restarted, whether
// they watch its health or only react to its GOAWAY. Envoy does the latter.
func TestARestartUnderLoad(t *testing.T) {
	for name, health := range map[string]string{
		"health":      `, "healthCheckConfig": {"serviceName": "` + check.ServiceName + `"}`,
		"only GOAWAY": "",
	} {
		t.Run(name, func(t *testing.T) {
			configs := []string{fixedAddress(t), fixedAddress(t)}
			servers := []*running{start(t, configs[0]), start(t, configs[1])}
			client := balanced(t, health, servers[0].addresses()[0], servers[1].addresses()[0])
			load := steady(t, client)

			load.more(t, servers...)
			if err := servers[0].end(t); err != nil {
				t.Error(err)
			}
			load.more(t, servers[1])
			servers[0] = start(t, configs[0])
			load.more(t, servers...)
			load.end()
		})
	}
}

// fixedAddress is a configuration that can be started again where it was.
func fixedAddress(t *testing.T) string {
	t.Helper()
	free := listen(t)
	release(t, free)
	return writeConfig(t, `listeners: [{name: sidecar, grpc: "`+free.Addr().String()+`", caller: principal, callee: principal}]`)
}

// balanced spreads Checks over the servers.
func balanced(t *testing.T, health string, addresses ...string) auth.AuthorizationClient {
	t.Helper()
	servers := manual.NewBuilderWithScheme("servers")
	var state resolver.State
	for _, address := range addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	servers.InitialState(state)
	conn, err := grpc.NewClient("servers:///", grpc.WithResolvers(servers),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]`+health+`}`),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond},
			MinConnectTimeout: 10 * time.Second, // zero would end a connection that a busy machine has not made within the backoff
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t, conn) })
	return auth.NewAuthorizationClient(conn)
}

// steadyLoad is clients that ask without a pause.
type steadyLoad struct {
	done    atomic.Bool
	clients sync.WaitGroup
}

func steady(t *testing.T, client auth.AuthorizationClient) *steadyLoad {
	l := &steadyLoad{}
	request := order(t, gateway)
	for range 4 {
		l.clients.Go(func() {
			for !l.done.Load() {
				if answer, err := client.Check(t.Context(), request); err != nil || answer.GetOkResponse() == nil {
					t.Errorf("a Check is lost: %v, %v", answer, err)
					return
				}
			}
		})
	}
	return l
}

// more waits until each of the servers has answered a hundred further Checks.
func (l *steadyLoad) more(t *testing.T, servers ...*running) {
	t.Helper()
	for _, server := range servers {
		before := server.stdout.CountLines()
		eventually(t, "a server gets no Checks", func() bool { return server.stdout.CountLines() >= before+100 })
	}
}

func (l *steadyLoad) end() {
	l.done.Store(true)
	l.clients.Wait()
}
