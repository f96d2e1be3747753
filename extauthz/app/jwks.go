package app

import (
	"os"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

type jwksConfig struct {
	File string `yaml:"file"`
}

// verifier trusts what the configuration says, by the keys that the files hold
// now.
func (l *loader) verifier(domains identity.TrustDomains, now func() time.Time) *token.Verifier {
	trust := l.trust(domains)
	if len(l.decoding)+len(l.problems) > 0 {
		return nil
	}
	verifier, err := token.NewVerifier(trust, domains, token.Options{MaxBytes: l.config.Limits.TokenBytes, Now: now})
	if err != nil {
		l.refuse(path{"trust"}, "%s", err)
	}
	return verifier
}

// keyFiles are the files that [loader.trust] reads.
func (l *loader) keyFiles() []string {
	var all []string
	for _, c := range l.config.Trust {
		all = append(all, l.resolve(c.JWKS.File))
	}
	return all
}

func (l *loader) keys(at path, file string) *keyset.Public {
	if !l.has(at, file) {
		return nil
	}
	data, err := os.ReadFile(l.resolve(file))
	if err != nil {
		l.refuse(at, "%s", err)
		return nil
	}
	keys, err := keyset.ParseJWKS(data)
	if err != nil {
		l.refuse(at, "%s: %s", l.resolve(file), err)
	}
	return keys
}

func (l *loader) checkSigners(at path, entry token.Trust, signers map[string]string) {
	if entry.Keys == nil {
		return
	}
	for _, kid := range slices.Sorted(slices.Values(entry.Keys.IDs())) {
		if issuer, taken := signers[kid]; taken && issuer != entry.Issuer {
			l.refuse(at, "key %s is also a key of %s: one key speaks for one issuer", kid, issuer)
		}
		signers[kid] = entry.Issuer
	}
}
