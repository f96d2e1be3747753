package main

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/internal/auditconfig"
	"github.com/meshpass/meshpass/internal/gateway/files"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/revocation"
)

// source is one of the things that a signer is made of, as metrics name it.
type source string

const (
	configSource     source = "config"
	secretSource     source = "secret"
	revocationSource source = "revocation"
	policiesSource   source = "policies"
	keysSource       source = "keys"
	chainKeySource   source = "chain_key"
)

var sources = []source{configSource, secretSource, revocationSource, policiesSource, keysSource, chainKeySource}

// parts are what a configuration names. Each follows its files on its own, and a fault of one of them
// delays no change of another: neither a key nor a revocation may wait for a document, or for a mistake
// in the configuration to be fixed.
type parts struct {
	config   *settings.Config
	secret   *reload.Value[identity.PseudonymKey]
	revoked  *reload.Value[*revocation.List]    // nil: no file is named
	policies *reload.Value[policysource.Loaded] // nil: no folder is named
	keys     *reload.Value[*keyset.SigningKeys]
	chainKey *reload.Value[ed25519.PrivateKey] // nil: audit records are no chain
}

// followParts follows what the configuration names. A part that is at the same place as before is taken
// over; before is nil at the start.
func followParts(c *settings.Config, before *parts) *parts {
	if before == nil {
		before = &parts{config: &settings.Config{}}
	}
	old := before.config
	p := &parts{config: c, secret: before.secret, revoked: before.revoked, policies: before.policies, keys: before.keys, chainKey: before.chainKey}
	if c.SecretFile != old.SecretFile {
		p.secret = followFiles(reload.Files(c.SecretFile), func() (identity.PseudonymKey, error) {
			secret, err := files.ReadSecret(c.SecretFile)
			return secret, loadError(decision.NotConfigured, "secretFile", err)
		})
	}
	if c.Revocation.File != old.Revocation.File {
		p.revoked = followRevocations(c.Revocation.File)
	}
	if edgeFingerprint(c) != edgeFingerprint(old) {
		p.policies = followPolicies(c, before.policies)
	}
	if c.Keys.Dir != old.Keys.Dir {
		inputs := []reload.Input{{Path: c.Keys.Dir, Wanted: keyset.IsKeyFile}}
		p.keys = followFiles(inputs, func() (*keyset.SigningKeys, error) {
			keys, err := files.ReadKeys(c)
			return keys, loadError(decision.NoSigningKey, "keys.dir", err)
		})
	}
	if c.Audit.Chain.Key != old.Audit.Chain.Key {
		p.chainKey = followChainKey(c.Audit.Chain.Key)
	}
	return p
}

func followChainKey(file string) *reload.Value[ed25519.PrivateKey] {
	if file == "" {
		return nil
	}
	return followFiles(reload.Files(file), func() (ed25519.PrivateKey, error) {
		key, err := auditconfig.ReadChainKey(file)
		return key, loadError(decision.NotConfigured, "audit.chain.key", err)
	})
}

// auditChain is the chain of audit records; nil: not configured.
func (p *parts) auditChain() *audit.Chain {
	if p.chainKey == nil {
		return nil
	}
	return &audit.Chain{Key: p.chainKey.Get(), Checkpoint: p.config.Audit.Chain.Checkpoint}
}

func followRevocations(file string) *reload.Value[*revocation.List] {
	if file == "" {
		return nil
	}
	return followFiles(reload.Files(file), func() (*revocation.List, error) {
		list, err := files.ReadRevocations(file)
		return list, loadError(decision.NotConfigured, "revocation.file", err)
	})
}

func followPolicies(c *settings.Config, before *reload.Value[policysource.Loaded]) *reload.Value[policysource.Loaded] {
	if len(c.Edge.Policies) == 0 {
		return nil
	}
	var inputs []reload.Input
	for _, folder := range c.Edge.Policies {
		inputs = append(inputs, reload.Input{Path: folder.Path, Wanted: policysource.IsRead})
	}
	loader := files.NewPolicyLoader(c)
	var value *reload.Value[policysource.Loaded]
	value = followFiles(inputs, func() (policysource.Loaded, error) {
		previous := value.Get().Set
		if previous == nil && before != nil {
			previous = before.Get().Set
		}
		return loader.LoadEach(previous, files.PolicyDirs(c)...), nil
	})
	return value
}

// edgeFingerprint contains all settings that the loading of edge documents depends on.
func edgeFingerprint(c *settings.Config) string {
	if len(c.Edge.Policies) == 0 {
		return ""
	}
	return fmt.Sprintf("%q %q %q", c.Edge.Policies, c.Workload, c.Members())
}

func followFiles[T any](inputs []reload.Input, load func() (T, error)) *reload.Value[T] {
	return reload.Pending(func() []reload.Input { return inputs }, load, nil)
}

// loadError gives an error the reason of the denials that follow from it, and the name of the setting.
func loadError(reason decision.Reason, setting string, err error) error {
	if err == nil {
		return nil
	}
	return denial.New(reason, "%s: %w", setting, err)
}

// part is one of [parts], of any type.
type part interface {
	Poll()
	Err() error        // why the present content of the files is not active
	Since() time.Time  // when the active value was made; zero: no value was made yet
	Looked() time.Time // when the last look at the files came to its end
}

// bySource gives the parts; a source that the configuration does not name is not among them.
func (p *parts) bySource() map[source]part {
	if p == nil {
		return nil
	}
	all := map[source]part{secretSource: p.secret, keysSource: p.keys}
	if p.revoked != nil {
		all[revocationSource] = p.revoked
	}
	if p.policies != nil {
		all[policiesSource] = p.policies
	}
	if p.chainKey != nil {
		all[chainKeySource] = p.chainKey
	}
	return all
}

// isComplete reports whether a signer can be made.
func (p *parts) isComplete() bool {
	for _, part := range p.bySource() {
		if part.Since().IsZero() {
			return false
		}
	}
	return true
}

// contentVersion identifies the content that a signer would be made of now.
func (p *parts) contentVersion() string {
	text := fmt.Sprintf("%p", p)
	all := p.bySource()
	for _, s := range sources {
		if part, named := all[s]; named {
			text += fmt.Sprintf(" %s %d", s, part.Since().UnixNano())
		}
	}
	return text
}

// findFault gives why a part is not what its files contain. A document that is rejected delays no other
// document, and is a fault all the same.
func findFault(p part) error {
	if err := p.Err(); err != nil {
		return err
	}
	if policies, ok := p.(*reload.Value[policysource.Loaded]); ok {
		if err := policies.Get().Problems.Err(); err != nil {
			return denial.New(decision.NotConfigured, "edge.policies: %w", err)
		}
	}
	return nil
}
