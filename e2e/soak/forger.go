package soak

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/shared/keyset"
)

// forger signs with a key of its own what alice may do, and says that the gateway's key did.
type forger struct {
	plugin, keys string
	real         *rotor
}

func newForger(dir string, real *rotor) (*forger, error) {
	f := &forger{plugin: filepath.Join(dir, "identity.yaml"), keys: filepath.Join(dir, "forger"), real: real}
	if err := os.Mkdir(f.keys, 0o700); err != nil {
		return nil, err
	}
	now := time.Now()
	_, err := keyset.CreateKey(f.keys, keyset.ES256, keyset.Plan{PublishAt: now, SignFrom: now, SignUntil: now.AddDate(0, 0, 1), RemoveAfter: now.AddDate(0, 0, 2)})
	return f, err
}

func (f *forger) forge() (string, error) {
	raw, err := scenarios.Token{Subject: "demo:alice", Scope: "orders.read", Claims: map[string]string{"tenant": "acme"}}.SignWith(f.plugin, f.keys)
	if err != nil {
		return "", err
	}
	header, rest, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		return "", err
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return "", err
	}
	members["kid"] = f.real.signingKey()
	text, err = json.Marshal(members)
	return base64.RawURLEncoding.EncodeToString(text) + "." + rest, err
}
