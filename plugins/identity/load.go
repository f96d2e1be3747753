package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/plugins/identity/credential"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/metrics"
	"github.com/meshpass/meshpass/plugins/identity/settings"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

// process is what lives as long as the gateway, while signers are replaced.
type process struct {
	log         *slog.Logger
	meter       *metrics.Meter
	definitions *tykapi.Folder
}

// newSigner makes a signer of parts that are complete.
func newSigner(p *parts, process process) (*signer, error) {
	s := &signer{
		config: p.config, keys: p.keys.Get(), revoked: new(revocation.List), now: time.Now,
		apis: tykapi.NewProtectedAPIs(p.config, process.log), hooks: tykapi.NewHookChecks(p.config, process.log),
		log: process.log, meter: process.meter, definitions: process.definitions,
	}
	s.credentials = credential.Reader{Config: p.config, Secret: p.secret.Get(), Report: s.reportMappedClaim}
	if p.revoked != nil {
		s.revoked = p.revoked.Get()
	}
	if p.policies != nil {
		s.policies = p.policies.Get().Set
	}
	minter := minterConfig(p.config, s.keys)
	minter.Now = func() time.Time { return s.now() }
	var err error
	if s.minter, err = token.NewMinter(minter); err != nil {
		return nil, denial.New(decision.NoSigningKey, "keys.dir: %w", err)
	}
	s.audit = auditTrails.openTrail(p.config.Audit, process.log) // last: from here on its limits apply to the trail
	return s, nil
}

// newBrokenSigner denies every request of a gateway without a usable configuration.
func newBrokenSigner(err error, process process) *signer {
	if token.ReasonOf(err) == decision.Panic { // an error without a reason of ours, such as a file that is changing
		err = denial.New(decision.NotConfigured, "%w", err)
	}
	return &signer{
		broken: err, hooks: tykapi.NewBrokenHookChecks(err, process.log),
		audit: auditTrails.openTrail(settings.DefaultAudit, process.log), now: time.Now,
		log: process.log, meter: process.meter, definitions: process.definitions,
	}
}

func minterConfig(c *settings.Config, keys *keyset.SigningKeys) token.MinterConfig {
	return token.MinterConfig{Issuer: c.Issuer, Audience: c.Audience, Keys: keys, Lifetime: c.Lifetime, MinRemaining: c.MinRemaining}
}

func readConfig(file string) (*settings.Config, error) {
	if file == "" {
		return nil, fmt.Errorf("the environment variable %s is not set: name the plugin's configuration file and restart the gateway", configVariable)
	}
	return settings.Read(file)
}

// maxSecretBytes is far more than a secret needs.
const maxSecretBytes = 1 << 20

func readSecret(file string) (identity.PseudonymKey, error) {
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

// readKeys also signs and verifies with every key.
func readKeys(c *settings.Config) (*keyset.SigningKeys, error) {
	keys, err := keyset.LoadSigningKeys(c.Keys.Dir)
	if err == nil {
		_, err = token.NewMinter(minterConfig(c, keys))
	}
	return keys, err
}

func readRevocations(file string) (*revocation.List, error) {
	list, err := revocation.ReadFile(file)
	if err == nil {
		err = list.CheckSerial(time.Now()) // every later list would count as older
	}
	if err != nil {
		return list, fmt.Errorf("%s: %w", file, err)
	}
	return list, nil
}

// newPolicyLoader loads the documents of the edge as the authorizer does: of a document that is rejected
// the last good version stays active, and at the start its targets are denied.
func newPolicyLoader(c *settings.Config) policysource.Loader {
	workload, _ := url.Parse(c.Workload) // was checked with the configuration
	return policysource.Loader{Domains: identity.TrustDomains{Local: workload.Host}, Members: c.Members(), Memory: new(policysource.Memory)}
}
