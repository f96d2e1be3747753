package localmesh

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// serveHTTP serves HTTP at an address until the mesh is closed.
func (m *Mesh) serveHTTP(ctx context.Context, at string, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", at)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("a server of the run stopped", "address", at, "error", err)
		}
	}()
	m.onClose(server.Close)
	return nil
}
