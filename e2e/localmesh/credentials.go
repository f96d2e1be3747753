package localmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// AuthorizationHeader gives the header value for a credential at Tyk, and "" for no name. A name is
// that of a user (access token), "<user>/id" (ID token), or that of a consumer (API key).
func (m *Mesh) AuthorizationHeader(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if key, ok := m.keys[name]; ok {
		return key, nil
	}
	user, kind, _ := strings.Cut(name, "/")
	tokens, err := m.Login(ctx, user)
	if err != nil {
		return "", err
	}
	if kind == "id" {
		return "Bearer " + tokens.ID, nil
	}
	return "Bearer " + tokens.Access, nil
}

// mintToken signs a token with a gateway's own key.
func (m *Mesh) mintToken(t scenarios.Token) (string, error) {
	g, err := m.findGateway(t.By)
	if err != nil {
		return "", err
	}
	return t.SignWith(m.filePath(g.Home, "identity.yaml"), m.filePath(g.Home, "keys"))
}

// createKeys creates the keys of the consumers at the (first) gateway, through Tyk's control API, as
// a portal would.
func (m *Mesh) createKeys(ctx context.Context) error {
	m.keys = map[string]string{}
	for name, session := range scenarios.PartnerSessions() {
		key, err := m.CreateKey(ctx, session)
		if err != nil {
			return fmt.Errorf("API key of %s: %w", name, err)
		}
		m.keys[name] = key
	}
	return nil
}

// CreateKey creates an API key for a session, in the terms of Tyk's control API.
func (m *Mesh) CreateKey(ctx context.Context, session map[string]any) (string, error) {
	body, err := json.Marshal(session)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.gateways[0].control+"/tyk/keys/create", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("X-Tyk-Authorization", m.gateways[0].secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	var created struct{ Key string }
	if err := json.Unmarshal(text, &created); err != nil || created.Key == "" {
		return "", fmt.Errorf("the control API answered %s: %s", response.Status, text)
	}
	return created.Key, nil
}
