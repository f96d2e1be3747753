package localmesh

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// mint signs a token with a gateway's own key.
func (m *Mesh) mint(t scenarios.Token) (string, error) {
	g, err := m.gatewayCalled(t.By)
	if err != nil {
		return "", err
	}
	var own struct{ Issuer, Audience, Workload string }
	data, err := os.ReadFile(m.path(g.Home, "identity.yaml"))
	if err != nil {
		return "", err
	}
	if err := yaml.Unmarshal(data, &own); err != nil {
		return "", fmt.Errorf("identity.yaml of %s: %w", g.Name, err)
	}
	keys, err := keyset.LoadSigning(m.path(g.Home, "keys"))
	if err != nil {
		return "", err
	}
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: cmp.Or(t.Issuer, own.Issuer), Audience: own.Audience, Lifetime: time.Minute, MinRemaining: time.Second, Keys: keys,
	})
	if err != nil {
		return "", err
	}
	raw, _, err := minter.Mint(identityOf(t, own.Workload))
	return raw, err
}

func identityOf(t scenarios.Token, workload string) identity.Identity {
	namespace, id, _ := strings.Cut(t.Subject, ":")
	claims := map[string]any{}
	for name, value := range t.Claims {
		claims[name] = value
	}
	return identity.Identity{
		Subject:   identity.Subject{Namespace: namespace, ID: id},
		Scopes:    strings.Fields(t.Scope),
		Requester: cmp.Or(t.Requester, workload),
		Claims:    claims,
	}
}
