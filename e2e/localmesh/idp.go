package localmesh

import (
	"context"
	"sync"

	"github.com/meshpass/meshpass/e2e/idp"
)

func (m *Mesh) issuerURL() string { return "http://" + m.addressOf(idpHost, idpPort) }

func (m *Mesh) startIDP(ctx context.Context) error {
	handler, err := idp.New(m.issuerURL(), idp.DemoUsers())
	if err != nil {
		return err
	}
	return m.serveHTTP(ctx, m.addressOf(idpHost, idpPort), handler)
}

// logins keeps the tokens of users: each user signs in once in a run.
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
	tokens, err := idp.Login(ctx, m.issuerURL(), user)
	if err != nil {
		return idp.Tokens{}, err
	}
	if m.logins.tokens == nil {
		m.logins.tokens = map[string]idp.Tokens{}
	}
	m.logins.tokens[user] = tokens
	return tokens, nil
}
