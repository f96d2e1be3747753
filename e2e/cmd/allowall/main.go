// Command allowall is the smallest ext_authz server: grpc-go that allows every Check. Its transport has the settings of
// the authorizer's (extauthz/internal/limits), so that a comparison shows the cost of the decision.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`ADDRESS` to listen on; it is printed")
	plain := flag.Bool("defaults", false, "use the settings of grpc-go instead of the authorizer's")
	flag.Parse()
	if err := serve(*listen, *plain); err != nil {
		fmt.Fprintln(os.Stderr, "allowall:", err)
		os.Exit(2)
	}
}

func serve(address string, plain bool) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	options := authorizerTransport
	if plain {
		options = nil
	}
	server := grpc.NewServer(options...)
	auth.RegisterAuthorizationServer(server, allowAll{})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, server.Stop)
	fmt.Println(listener.Addr())
	return server.Serve(listener)
}

var authorizerTransport = []grpc.ServerOption{
	grpc.MaxConcurrentStreams(250), grpc.StaticStreamWindowSize(64 << 10), grpc.StaticConnWindowSize(1 << 20),
	grpc.ReadBufferSize(4 << 10), grpc.WriteBufferSize(8 << 10),
}

type allowAll struct {
	auth.UnimplementedAuthorizationServer
}

func (allowAll) Check(context.Context, *auth.CheckRequest) (*auth.CheckResponse, error) {
	return &auth.CheckResponse{Status: &rpc.Status{}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{}}}, nil
}
