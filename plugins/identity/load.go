package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/internal/gateway/files"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/credential"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/metrics"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
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
	s.credentials = credential.NewReader(p.config, p.secret.Get(), s.reportMappedClaim)
	if p.revoked != nil {
		s.revoked = p.revoked.Get()
	}
	if p.policies != nil {
		s.policies = p.policies.Get().Set
	}
	minter := files.MinterConfig(p.config, s.keys)
	minter.Now = func() time.Time { return s.now() }
	var err error
	if s.minter, err = token.NewMinter(minter); err != nil {
		return nil, denial.New(decision.NoSigningKey, "keys.dir: %w", err)
	}
	s.audit = auditTrails.openTrail(p.config.Audit, p.auditChain(), process.log) // last: from here on its limits apply to the trail
	return s, nil
}

// newBrokenSigner denies every request of a gateway without a usable configuration.
func newBrokenSigner(err error, process process) *signer {
	if token.ReasonOf(err) == decision.Panic { // an error without a reason of ours, such as a file that is changing
		err = denial.New(decision.NotConfigured, "%w", err)
	}
	return &signer{
		broken: err, hooks: tykapi.NewBrokenHookChecks(err, process.log),
		audit: auditTrails.openTrail(settings.DefaultAudit, nil, process.log), now: time.Now,
		log: process.log, meter: process.meter, definitions: process.definitions,
	}
}

func readConfig(file string) (*settings.Config, error) {
	if file == "" {
		return nil, fmt.Errorf("the environment variable %s is not set: name the plugin's configuration file and restart the gateway", configVariable)
	}
	return settings.Read(file)
}
