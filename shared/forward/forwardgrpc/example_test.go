package forwardgrpc_test

import (
	"log"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshpass/meshpass/shared/forward"
	"github.com/meshpass/meshpass/shared/forward/forwardgrpc"
)

// A service that is called by gRPC and calls another by gRPC. The sidecars do mTLS.
func Example() {
	inside := forward.MustParseHosts("*.svc.cluster.local")
	_ = grpc.NewServer(
		grpc.UnaryInterceptor(forwardgrpc.UnaryServer()),
		grpc.StreamInterceptor(forwardgrpc.StreamServer()))
	conn, err := grpc.NewClient("inventory.shop.svc.cluster.local:8080",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(forwardgrpc.UnaryClient(inside)),
		grpc.WithStreamInterceptor(forwardgrpc.StreamClient(inside)))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
}
