package localmesh

import "github.com/meshpass/meshpass/e2e/scenarios"

// mintToken signs a token with a gateway's own key.
func (m *Mesh) mintToken(t scenarios.Token) (string, error) {
	g, err := m.findGateway(t.By)
	if err != nil {
		return "", err
	}
	return t.SignWith(m.filePath(g.Home, "identity.yaml"), m.filePath(g.Home, "keys"))
}
