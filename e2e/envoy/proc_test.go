package envoy

import (
	"slices"
	"testing"
)

const envoyLog = `[2026-11-23 00:16:35.1][7][info][main] [server.cc:1] starting
[2026-11-23 00:16:35.2][7][warning][config] [x.cc:2] gRPC config for Listener rejected: no such filter
[2026-11-23 00:16:35.3][7][warning][config] [x.cc:2] gRPC config for Cluster rejected: goo.gle/debugproto
name: "outbound"
type: EDS
: ConnectTimeout: value must be greater than 0s
[2026-11-23 00:16:35.4][7][info][main] [server.cc:3] starting workers
`

func TestRefusedIn(t *testing.T) {
	want := []string{
		"[2026-11-23 00:16:35.2][7][warning][config] [x.cc:2] gRPC config for Listener rejected: no such filter",
		"[2026-11-23 00:16:35.3][7][warning][config] [x.cc:2] gRPC config for Cluster rejected: goo.gle/debugproto … : ConnectTimeout: value must be greater than 0s",
	}
	if got := findRejections(envoyLog); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if got := findRejections("no entry at all"); got != nil {
		t.Errorf("got %q, want none", got)
	}
}
