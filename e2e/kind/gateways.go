package kind

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
)

// gateway is a Tyk.
type gateway struct {
	name      string // in cases
	namespace string
	home      string // folder of its keys, in the run's
	plugin    string // its plugin's configuration, in the repository
	jwks      string // the file of meshpass-jwks with its published keys
}

var east = gateway{"tyk-gateway", "edge", "", "manifests/overlays/dev/plugin.yaml", "jwks.json"}

// gateway finds one by its name; the empty name is the first.
func (e *Environment) gateway(name string) (gateway, error) {
	for _, g := range e.at.gateways {
		if name == "" || g.name == name {
			return g, nil
		}
	}
	return gateway{}, fmt.Errorf("no gateway is called %q", name)
}

func (g gateway) url() string {
	return "http://tyk-gateway." + g.namespace + ".svc.cluster.local:8080"
}

func (g gateway) logs() source { return source{g.namespace, "app=tyk-gateway", "tyk-gateway"} }

// ownSecrets makes a gateway's keys and secrets.
func (e *Environment) ownSecrets(ctx context.Context, g gateway) error {
	if err := e.writeKeys(ctx, g); err != nil {
		return err
	}
	return e.giveSecrets(ctx, g)
}

// giveSecrets makes a gateway's own secrets, new ones for each run.
func (e *Environment) giveSecrets(ctx context.Context, g gateway) error {
	// Text: a line break at the end of random bytes would be cut off as that of an editor.
	hmac := []byte(rand.Text() + rand.Text())
	for name, secret := range map[string][]byte{"hmac": hmac, "APISecret": []byte(rand.Text())} {
		if err := os.WriteFile(e.path(g.home, name), secret, 0o600); err != nil {
			return err
		}
	}
	if err := e.derived(ctx, "create", "secret", "generic", "meshpass-hmac", "-n", g.namespace, "--from-file="+e.path(g.home, "hmac")); err != nil {
		return err
	}
	return e.derived(ctx, "create", "secret", "generic", "tyk-gateway", "-n", g.namespace, "--from-file="+e.path(g.home, "APISecret"))
}

// controlSecret opens the control API of the first gateway.
func (e *Environment) controlSecret() (string, error) {
	secret, err := os.ReadFile(e.path(east.home, "APISecret"))
	return string(secret), err
}
