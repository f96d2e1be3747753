package main

import (
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

func TestOnlyListenersOnEveryAddressAreBoundToThePod(t *testing.T) {
	for address, want := range map[string]string{"0.0.0.0": "127.80.3.14", "127.80.3.15": "127.80.3.15"} {
		packed, err := anypb.New(&listener.Listener{Address: &core.Address{Address: &core.Address_SocketAddress{
			SocketAddress: &core.SocketAddress{Address: address, PortSpecifier: &core.SocketAddress_PortValue{PortValue: 8443}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		bound, err := bind(&discovery.Resource{Name: "l", Resource: packed}, "127.80.3.14")
		if err != nil {
			t.Fatal(err)
		}
		var l listener.Listener
		if err := bound.Resource.UnmarshalTo(&l); err != nil {
			t.Fatal(err)
		}
		got := l.GetAddress().GetSocketAddress()
		if got.GetAddress() != want || got.GetPortValue() != 8443 || bound.Name != "l" {
			t.Errorf("%s became %v", address, got)
		}
	}
}
