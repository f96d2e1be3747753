package localmesh

import "github.com/meshpass/meshpass/e2e/scenarios"

// mint signs a token with a gateway's own key.
func (m *Mesh) mint(t scenarios.Token) (string, error) {
	g, err := m.gatewayCalled(t.By)
	if err != nil {
		return "", err
	}
	return t.SignWith(m.path(g.Home, "identity.yaml"), m.path(g.Home, "keys"))
}
