package app

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/debugserver"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// checkDebug checks the address of the debug listener.
func checkDebug(file *strictyaml.Checker, text string) {
	at := strictyaml.Path{"debug"}
	address, err := netip.ParseAddrPort(text)
	if err != nil { // rejected with the addresses of the other listeners
		return
	}
	if err := debugserver.CheckAddress(address); err != nil {
		file.RejectError(at, err)
	}
}

// maxDebugConnections is far more than one person opens.
const maxDebugConnections = 16

func (s *service) serveDebug() {
	if s.bound.debug == nil {
		return
	}
	state := func() any { return s.statusReport() }
	s.debug = &http.Server{Handler: debugserver.New(state, s.authorizer.process.LogLevel), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	bounded := limits.New(limits.Limits{Connections: maxDebugConnections}, s.log).Listen(s.bound.debug, "debug", limits.HTTP1)
	go func() { s.broken <- s.debug.Serve(bounded) }()
	s.log.Info("debug listener", "address", s.bound.debug.Addr().String())
}
