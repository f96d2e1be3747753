package kind

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/e2e/consumer"
	"github.com/meshpass/meshpass/e2e/idp"
	"github.com/meshpass/meshpass/e2e/kind/sender"
)

// authorization is the header value with which a credential is shown to Tyk; "" for no name. Names are
// those of consumers (API key), users (access token) and "<user>/id" (ID token).
func (e *Environment) authorization(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if value, ok := e.credentials[name]; ok {
		return value, nil
	}
	if session, ok := consumer.Sessions()[name]; ok {
		key, err := e.createKey(ctx, session)
		e.credentials[name] = key
		return key, err
	}
	user, _, _ := strings.Cut(name, "/")
	var tokens idp.Tokens
	if err := e.inPod(ctx, client, "login", sender.Login{Issuer: issuerURL, User: user}, &tokens); err != nil {
		return "", err
	}
	e.credentials[user] = "Bearer " + tokens.Access
	e.credentials[user+"/id"] = "Bearer " + tokens.ID
	return e.credentials[name], nil
}

// createKey creates a consumer's API key through Tyk's control API, as a portal would.
func (e *Environment) createKey(ctx context.Context, session map[string]any) (string, error) {
	body, err := json.Marshal(session)
	if err != nil {
		return "", err
	}
	secret, err := e.controlSecret()
	if err != nil {
		return "", err
	}
	request := sender.Message{
		Method: http.MethodPost, URL: east.url() + "/tyk/keys/create", Body: body,
		Header: http.Header{"X-Tyk-Authorization": {secret}, "Content-Type": {"application/json"}},
	}
	var answer sender.Answer
	if err := e.inPod(ctx, client, "send", request, &answer); err != nil {
		return "", err
	}
	var created struct{ Key string }
	if err := json.Unmarshal(answer.Body, &created); err != nil || created.Key == "" {
		return "", fmt.Errorf("the control API answered %d: %s", answer.Status, answer.Body)
	}
	return created.Key, nil
}
