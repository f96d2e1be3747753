package scenarios

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// SignWith signs the token with a gateway's own key. pluginConfig is the configuration file of the
// gateway's plugin, and keyDir its key directory.
func (t Token) SignWith(pluginConfig, keyDir string) (string, error) {
	var own struct{ Issuer, Audience, Workload string }
	data, err := os.ReadFile(pluginConfig)
	if err != nil {
		return "", err
	}
	if err := yaml.Unmarshal(data, &own); err != nil {
		return "", fmt.Errorf("%s: %w", pluginConfig, err)
	}
	signing, err := keyset.LoadSigningKeys(keyDir)
	if err != nil {
		return "", err
	}
	minter, err := token.NewMinter(token.MinterConfig{
		Issuer: cmp.Or(t.Issuer, own.Issuer), Audience: own.Audience, Lifetime: time.Minute, MinRemaining: time.Second, Keys: signing,
	})
	if err != nil {
		return "", err
	}
	raw, _, err := minter.Mint(t.buildIdentity(own.Workload))
	return raw, err
}

// RenameKey returns the token with another kid in its header, and the signature as before.
func RenameKey(raw, kid string) (string, error) {
	header, rest, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return "", err
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	members["kid"] = kid
	text, err = json.Marshal(members)
	return base64.RawURLEncoding.EncodeToString(text) + "." + rest, err
}

func (t Token) buildIdentity(workload string) identity.Identity {
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
