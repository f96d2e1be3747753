package localmesh

import (
	"context"
	"strings"
)

// AuthorizationHeader is the header value with which a credential is shown to Tyk; "" for no name.
// Names are those of users (their access token), "<user>/id" (their ID token) and consumers (API key).
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
