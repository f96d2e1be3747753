package localmesh

import (
	"context"
	"strings"
)

// Authorization is the header value that shows a credential to Tyk; "" for no name.
// Names are those of users (their access token), "<user>/id" (their ID token) and consumers (API key).
func (m *Mesh) Authorization(ctx context.Context, name string) (string, error) {
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
