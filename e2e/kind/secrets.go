package kind

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
)

// findGateway finds a gateway by its name. The empty name is the first gateway.
func (e *Environment) findGateway(name string) (gateway, error) {
	for _, g := range e.current.gateways {
		if name == "" || g.name == name {
			return g, nil
		}
	}
	return gateway{}, fmt.Errorf("no gateway is called %q", name)
}

// createGatewaySecrets makes a gateway's keys and secrets.
func (e *Environment) createGatewaySecrets(ctx context.Context, g gateway) error {
	if err := e.writeKeys(ctx, g); err != nil {
		return err
	}
	return e.applySecrets(ctx, g)
}

// applySecrets makes a gateway's own secrets, new ones for each run.
func (e *Environment) applySecrets(ctx context.Context, g gateway) error {
	// Text, because a line break at the end of random bytes would be removed like that of an editor.
	hmac := []byte(rand.Text() + rand.Text())
	for name, secret := range map[string][]byte{"hmac": hmac, "APISecret": []byte(rand.Text())} {
		if err := os.WriteFile(e.runFile(g.home, name), secret, 0o600); err != nil {
			return err
		}
	}
	if err := e.applyCreated(ctx, "create", "secret", "generic", "meshpass-hmac", "-n", g.namespace, "--from-file="+e.runFile(g.home, "hmac")); err != nil {
		return err
	}
	return e.applyCreated(ctx, "create", "secret", "generic", "tyk-gateway", "-n", g.namespace, "--from-file="+e.runFile(g.home, "APISecret"))
}

// controlSecret reads the secret of the control API of the first gateway.
func (e *Environment) controlSecret() (string, error) {
	secret, err := os.ReadFile(e.runFile(east.home, "APISecret"))
	return string(secret), err
}
