package main

import (
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// parts are what a configuration names. Each follows its files on its own, and what
// is wrong with one of them holds back no change of another: neither a key nor a
// revocation may wait for a document or a slip in the configuration.
type parts struct {
	config   *config
	secret   *reload.Value[identity.PseudonymKey]
	revoked  *reload.Value[*revocation.List] // nil: no file is named
	policies *reload.Value[policy.Loaded]    // nil: no folder is named
	keys     *reload.Value[*keyset.SigningKeys]
}

// part is one of them, whatever it holds.
type part interface {
	Poll()
	Err() error        // why what the files hold now is not active
	Since() time.Time  // when the active value was made; zero: there is none yet
	Looked() time.Time // when the last look at the files came to its end
}

// partsOf takes over what is at the place where it was before.
func partsOf(c *config, before *parts) *parts {
	if before == nil {
		before = &parts{config: &config{}}
	}
	old := before.config
	p := &parts{config: c, secret: before.secret, revoked: before.revoked, policies: before.policies, keys: before.keys}
	if c.SecretFile != old.SecretFile {
		p.secret = follow(reload.Files(c.SecretFile), func() (identity.PseudonymKey, error) {
			return wrapped(readSecret(c.SecretFile))(decision.NotConfigured, "secretFile")
		})
	}
	if c.Revocation.File != old.Revocation.File {
		p.revoked = c.followRevocations()
	}
	if c.edgeSettings() != old.edgeSettings() {
		p.policies = c.followPolicies(before.policies)
	}
	if c.Keys.Dir != old.Keys.Dir {
		inputs := []reload.Input{{Path: c.Keys.Dir, Wanted: keyset.IsKeyFile}}
		p.keys = follow(inputs, func() (*keyset.SigningKeys, error) {
			return wrapped(c.readKeys())(decision.NoSigningKey, "keys.dir")
		})
	}
	return p
}

func follow[T any](inputs []reload.Input, load func() (T, error)) *reload.Value[T] {
	return reload.Pending(func() []reload.Input { return inputs }, load, nil)
}

// wrapped gives an error the reason of the refusals that follow from it, and the name
// of the setting.
func wrapped[T any](value T, err error) func(decision.Reason, string) (T, error) {
	return func(reason decision.Reason, setting string) (T, error) {
		if err != nil {
			err = refuse(reason, "%s: %w", setting, err)
		}
		return value, err
	}
}

// readKeys also signs and verifies with every key.
func (c *config) readKeys() (*keyset.SigningKeys, error) {
	keys, err := keyset.LoadSigningKeys(c.Keys.Dir)
	if err == nil {
		_, err = token.NewMinter(c.minter(keys))
	}
	return keys, err
}

func (c *config) minter(keys *keyset.SigningKeys) token.MinterConfig {
	return token.MinterConfig{Issuer: c.Issuer, Audience: c.Audience, Keys: keys, Lifetime: c.Lifetime, MinRemaining: c.MinRemaining}
}

func (c *config) followRevocations() *reload.Value[*revocation.List] {
	file := c.Revocation.File
	if file == "" {
		return nil
	}
	return follow(reload.Files(file), func() (*revocation.List, error) {
		list, err := revocation.ReadFile(file)
		if err == nil {
			err = list.CheckSerial(time.Now()) // every later list would count as older
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
		return wrapped(list, err)(decision.NotConfigured, "revocation.file")
	})
}

// followPolicies loads the documents of the edge as the authorizer does: of one that
// is rejected the last good version stays, and at a start it denies what it targets.
func (c *config) followPolicies(before *reload.Value[policy.Loaded]) *reload.Value[policy.Loaded] {
	if len(c.Edge.Policies) == 0 {
		return nil
	}
	var inputs []reload.Input
	for _, folder := range c.Edge.Policies {
		inputs = append(inputs, reload.Input{Path: folder.Path, Wanted: policy.IsRead})
	}
	workload, _ := url.Parse(c.Workload) // was checked with the configuration
	loader := policy.Loader{Domains: identity.TrustDomains{Local: workload.Host}, Members: c.mapped(), Memory: new(policy.Memory)}
	var value *reload.Value[policy.Loaded]
	value = follow(inputs, func() (policy.Loaded, error) {
		previous := value.Get().Set
		if previous == nil && before != nil {
			previous = before.Get().Set
		}
		return loader.LoadEach(previous, c.edgeDirs()...), nil
	})
	return value
}

// edgeSettings is all that decides how documents of the edge are loaded.
func (c *config) edgeSettings() string {
	if len(c.Edge.Policies) == 0 {
		return ""
	}
	return fmt.Sprintf("%q %q %q", c.Edge.Policies, c.Workload, slices.Sorted(slices.Values(c.mapped())))
}

// all is by source; a source that the configuration does not name is not in it.
func (p *parts) all() map[source]part {
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
	return all
}

// complete reports whether a signer can be made.
func (p *parts) complete() bool {
	for _, part := range p.all() {
		if part.Since().IsZero() {
			return false
		}
	}
	return true
}

// version tells what a signer that is made now is made of.
func (p *parts) version() string {
	text := fmt.Sprintf("%p", p)
	all := p.all()
	for _, s := range sources {
		if part, named := all[s]; named {
			text += fmt.Sprintf(" %s %d", s, part.Since().UnixNano())
		}
	}
	return text
}

// fault is why a part is not what its files hold. Documents that are rejected keep
// the others from nothing, and are a fault all the same.
func fault(p part) error {
	if err := p.Err(); err != nil {
		return err
	}
	if policies, ok := p.(*reload.Value[policy.Loaded]); ok {
		if err := policies.Get().Problems.Err(); err != nil {
			return refuse(decision.NotConfigured, "edge.policies: %w", err)
		}
	}
	return nil
}
