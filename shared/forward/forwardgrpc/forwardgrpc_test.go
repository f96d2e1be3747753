package forwardgrpc_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/shared/forward"
	"github.com/meshpass/meshpass/shared/forward/forwardgrpc"
)

// service answers every call, and records the metadata of each.
type service struct {
	grpc_health_v1.UnimplementedHealthServer
	next grpc_health_v1.HealthClient // nil: the last of the chain
	seen chan metadata.MD
}

func (s *service) Check(ctx context.Context, in *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if s.next != nil {
		return s.next.Check(ctx, in)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	s.seen <- md
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (s *service) Watch(in *grpc_health_v1.HealthCheckRequest, stream grpc_health_v1.Health_WatchServer) error {
	if s.next != nil {
		onward, err := s.next.Watch(stream.Context(), in)
		if err != nil {
			return err
		}
		answer, err := onward.Recv()
		if err != nil {
			return err
		}
		return stream.Send(answer)
	}
	md, _ := metadata.FromIncomingContext(stream.Context())
	s.seen <- md
	return stream.Send(&grpc_health_v1.HealthCheckResponse{})
}

// listen serves s on loopback and returns its address.
func listen(t *testing.T, s *service) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(forwardgrpc.UnaryServer()), grpc.StreamInterceptor(forwardgrpc.StreamServer()))
	grpc_health_v1.RegisterHealthServer(server, s)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func dial(t *testing.T, target string, options ...grpc.DialOption) grpc_health_v1.HealthClient {
	t.Helper()
	conn, err := grpc.NewClient(target, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return grpc_health_v1.NewHealthClient(conn)
}

func forwarding(inside forward.Hosts) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithUnaryInterceptor(forwardgrpc.UnaryClient(inside)), grpc.WithStreamInterceptor(forwardgrpc.StreamClient(inside))}
}

// arrives sends one call, unary or stream, with metadata to a service that calls the last one, and
// returns the metadata of that call.
func arrives(t *testing.T, inside forward.Hosts, stream bool, md metadata.MD) metadata.MD {
	t.Helper()
	last := &service{seen: make(chan metadata.MD, 1)}
	middle := &service{next: dial(t, listen(t, last), forwarding(inside)...)}
	client := dial(t, listen(t, middle))
	ctx := metadata.NewOutgoingContext(context.Background(), md)
	if !stream {
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		return <-last.seen
	}
	call, err := client.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil {
		t.Fatal(err)
	}
	return <-last.seen
}

func TestTheTokenIsPassedOn(t *testing.T) {
	mesh := forward.MustParseHosts("127.0.0.1")
	for _, row := range []struct {
		name     string
		inside   forward.Hosts
		incoming metadata.MD
		want     []string
	}{
		{"one", mesh, metadata.Pairs("txn-token", "a.b.c"), []string{"a.b.c"}},
		{"none", mesh, nil, nil},
		{"empty", mesh, metadata.Pairs("txn-token", ""), nil},
		{"two", mesh, metadata.Pairs("txn-token", "a.b.c", "txn-token", "d.e.f"), nil},
		{"out of the mesh", forward.MustParseHosts("*.svc.cluster.local"), metadata.Pairs("txn-token", "a.b.c"), nil},
		{"no host is inside", forward.Hosts{}, metadata.Pairs("txn-token", "a.b.c"), nil},
	} {
		for kind, stream := range map[string]bool{"call": false, "stream": true} {
			t.Run(row.name+", "+kind, func(t *testing.T) {
				if got := arrives(t, row.inside, stream, row.incoming).Get("txn-token"); !slices.Equal(got, row.want) {
					t.Errorf("got %q, want %q", got, row.want)
				}
			})
		}
	}
}

// Metadata that a service sets itself is replaced inside the mesh, and removed outside.
func TestIdentityOfTheServicesOwnMaking(t *testing.T) {
	own := metadata.Pairs("txn-token", "other", "x-meshpass-user", "demo:alice", "x_meshpass_user", "demo:alice", "x.meshpass.user", "demo:alice", "txn.token", "other", "plain", "stays")
	for _, row := range []struct {
		name   string
		inside forward.Hosts
		want   []string
	}{
		{"inside", forward.MustParseHosts("127.0.0.1"), []string{"a.b.c"}},
		{"outside", forward.Hosts{}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			last := &service{seen: make(chan metadata.MD, 1)}
			client := dial(t, listen(t, last), forwarding(row.inside)...)
			ctx := metadata.NewOutgoingContext(forward.Remember(context.Background(), []string{"a.b.c"}), own)
			if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
			got := <-last.seen
			if !slices.Equal(got.Get("txn-token"), row.want) || len(got.Get("x-meshpass-user")) > 0 || len(got.Get("x_meshpass_user"))+len(got.Get("x.meshpass.user"))+len(got.Get("txn.token")) > 0 {
				t.Errorf("arrived: %v", got)
			}
			if !slices.Equal(got.Get("plain"), []string{"stays"}) || len(own.Get("x-meshpass-user")) == 0 {
				t.Errorf("other metadata, or the caller's own, was changed: %v", got)
			}
		})
	}
}

// A target is read as gRPC reads it.
func TestTargets(t *testing.T) {
	inside := forward.MustParseHosts("*.svc.cluster.local")
	for target, want := range map[string]bool{
		"orders.shop.svc.cluster.local:8080":                     true,
		"dns:///orders.shop.svc.cluster.local":                   true,
		"dns://10.0.0.10/orders.shop.svc.cluster.local:8080":     true,
		"passthrough:///orders.shop.svc.cluster.local:8080":      true,
		"dns:///evil.example:80/orders.shop.svc.cluster.local":   false,
		"passthrough:///evil.example/a.svc.cluster.local":        false,
		"unix:///run/evil/a.svc.cluster.local":                   false,
		"unix:a.svc.cluster.local":                               false,
		"dns:///evil.example@orders.shop.svc.cluster.local":      false,
		"dns:///evil.example%5C@orders.shop.svc.cluster.local":   false,
		"dns:///orders.shop.svc.cluster.local:8080?evil.example": true,
		"evil.example:80": false,
	} {
		t.Run(target, func(t *testing.T) {
			conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ctx, token := forward.Remember(context.Background(), []string{"a.b.c"}), []string(nil)
			read := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
				md, _ := metadata.FromOutgoingContext(ctx)
				token = md.Get("txn-token")
				return nil
			}
			if err := forwardgrpc.UnaryClient(inside)(ctx, "/x/Y", nil, nil, conn, read); err != nil {
				t.Fatal(err)
			}
			if slices.Equal(token, []string{"a.b.c"}) != want {
				t.Errorf("got %q", token)
			}
		})
	}
}
