package hbone

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
)

// NewProxy makes an HTTP proxy that sends the requests of a workload through tunnels to one
// waypoint. A ztunnel captures connections without the help of the program. Here the program
// uses the proxy. addresses has the IP addresses of the services by host name, as DNS would.
func NewProxy(dialer *Dialer, waypoint string, addresses map[string]string) *httputil.ReverseProxy {
	dial := func(ctx context.Context, _, called string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(called)
		if err != nil {
			return nil, err
		}
		address, ok := addresses[host]
		if !ok {
			return nil, fmt.Errorf("no service is called %q", host)
		}
		return dialer.Dial(ctx, waypoint, net.JoinHostPort(address, port))
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport: &http.Transport{DialContext: dial, DisableCompression: true},
	}
}
