package app

import (
	"os"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

type jwksConfig struct {
	File string `yaml:"file"`
}

// Verifier is the one that `meshpass serve` would use with this configuration file
// now. Of the file, only what it is made of is judged.
func Verifier(file string, now func() time.Time) (*token.Verifier, error) {
	l, err := open(file)
	if err != nil {
		return nil, err
	}
	l.checkLimits()
	verifier := l.verifier(l.trustDomains(), l.revokedNow(), now)
	return verifier, l.err()
}

// verifier trusts what the configuration says, by the keys that the files hold
// now.
func (l *loader) verifier(domains identity.TrustDomains, revoked revocation.Checker, now func() time.Time) *token.Verifier {
	trust := l.trust(domains)
	if len(l.decoding)+len(l.problems) > 0 {
		return nil
	}
	verifier, err := token.NewVerifier(trust, domains, token.Options{
		MaxBytes: l.config.Limits.TokenBytes, AllowTest: l.config.Insecure.AllowTestTokens, Now: now,
		Revocations: revoked, Cache: l.config.Cache.VerifiedTokens,
	})
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
