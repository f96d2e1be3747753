package sender

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
)

// ServeEcho answers each request with its headers as JSON, until ctx ends.
func ServeEcho(ctx context.Context, address string) error {
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(echoHeaders), ReadHeaderTimeout: timeout}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // nothing is lost with a connection
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func echoHeaders(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(r.Header) // only the connection can fail here
}
