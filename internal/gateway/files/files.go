// Package files reads what the plugin's configuration names: the secret, the signing keys, the
// revocations and the documents of the edge. It does not know Tyk, so that `meshpass config check`
// reads them as the plugin does.
package files

import (
	"fmt"
	"net/url"
	"time"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// maxSecretBytes is far more than a secret needs.
const maxSecretBytes = 1 << 20

// ReadSecret reads the key of the pseudonyms. A file that others may read is an error.
func ReadSecret(file string) (identity.PseudonymKey, error) {
	data, err := secretfile.Read(file, secretfile.Secret, maxSecretBytes)
	if err != nil {
		return nil, err
	}
	secret, err := identity.ParsePseudonymKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return secret, nil
}

// ReadKeys reads the key directory, and also signs and verifies with every key.
func ReadKeys(c *settings.Config) (*keyset.SigningKeys, error) {
	keys, err := keyset.LoadSigningKeys(c.Keys.Dir)
	if err == nil {
		_, err = token.NewMinter(MinterConfig(c, keys))
	}
	return keys, err
}

// MinterConfig is the configuration of the plugin's minter, without its clock.
func MinterConfig(c *settings.Config, keys *keyset.SigningKeys) token.MinterConfig {
	return token.MinterConfig{Issuer: c.Issuer, Audience: c.Audience, Keys: keys, Lifetime: c.Lifetime, MinRemaining: c.MinRemaining}
}

// ReadRevocations reads the list of revocations. A list from the future is an error: every later list
// would count as older.
func ReadRevocations(file string) (*revocation.List, error) {
	list, err := revocation.ReadFile(file)
	if err == nil {
		err = list.CheckSerial(time.Now())
	}
	return list, strictyaml.InFile(file, err)
}

// NewPolicyLoader loads the documents of the edge as the authorizer does: of a document that is rejected
// the last good version stays active, and at the start its targets are denied.
func NewPolicyLoader(c *settings.Config) policysource.Loader {
	workload, _ := url.Parse(c.Workload) // was checked with the configuration
	return policysource.Loader{Domains: identity.TrustDomains{Local: workload.Host}, Members: c.Members(), Memory: new(policysource.Memory)}
}

// PolicyDirs are the folders of the edge as they are now.
func PolicyDirs(c *settings.Config) (dirs []policysource.Dir) {
	for _, folder := range c.Edge.Policies {
		dir := policysource.OSDir(folder.Path)
		dir.Name = folder.Name
		dirs = append(dirs, dir)
	}
	return dirs
}
