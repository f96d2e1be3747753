package localmesh

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/idp"
)

func (m *Mesh) issuer() string { return "http://" + m.addr(idpHost, idpPort) }

func (m *Mesh) startIDP(ctx context.Context) error {
	handler, err := idp.New(m.issuer(), idp.DemoUsers())
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", m.addr(idpHost, idpPort))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			m.log.Error("the OpenID provider stopped", "error", err)
		}
	}()
	m.onClose(server.Close)
	return nil
}

// logins keeps the tokens of whoever signed in: one sign-in a user and run.
type logins struct {
	mu     sync.Mutex
	tokens map[string]idp.Tokens
}

// Login returns the tokens of a user of the OpenID provider.
func (m *Mesh) Login(ctx context.Context, user string) (idp.Tokens, error) {
	m.logins.mu.Lock()
	defer m.logins.mu.Unlock()
	if tokens, ok := m.logins.tokens[user]; ok {
		return tokens, nil
	}
	tokens, err := idp.Login(ctx, m.issuer(), user)
	if err != nil {
		return idp.Tokens{}, err
	}
	if m.logins.tokens == nil {
		m.logins.tokens = map[string]idp.Tokens{}
	}
	m.logins.tokens[user] = tokens
	return tokens, nil
}
