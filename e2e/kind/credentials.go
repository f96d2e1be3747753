package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/e2e/idp"
	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// authorizationHeader returns the header value that sends a credential to Tyk; "" for no name. Names are
// consumers (API key), users (access token) and "<user>/id" (ID token).
func (e *Environment) authorizationHeader(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if value, ok := e.credentials[name]; ok {
		return value, nil
	}
	if session, ok := scenarios.PartnerSessions()[name]; ok {
		key, err := e.createKey(ctx, session)
		e.credentials[name] = key
		return key, err
	}
	user, _, _ := strings.Cut(name, "/")
	var tokens idp.Tokens
	if err := e.runInPod(ctx, client, "login", sender.Login{Issuer: issuerURL, User: user}, &tokens); err != nil {
		return "", err
	}
	e.credentials[user] = "Bearer " + tokens.Access
	e.credentials[user+"/id"] = "Bearer " + tokens.ID
	return e.credentials[name], nil
}

// createKey creates a consumer's API key through Tyk's control API, as a portal would. No Service has its
// port, so no workload of the cluster can reach it.
func (e *Environment) createKey(ctx context.Context, session map[string]any) (string, error) {
	body, err := json.Marshal(session)
	if err != nil {
		return "", err
	}
	secret, err := e.controlSecret()
	if err != nil {
		return "", err
	}
	url, stop, err := e.portForward(ctx, east.namespace, "deployment/tyk-gateway", controlPort)
	if err != nil {
		return "", err
	}
	defer stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/tyk/keys/create", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("X-Tyk-Authorization", secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", err
	}
	var created struct{ Key string }
	if err := json.Unmarshal(answer, &created); err != nil || created.Key == "" {
		return "", fmt.Errorf("the control API answered %s: %s", response.Status, answer)
	}
	return created.Key, nil
}
