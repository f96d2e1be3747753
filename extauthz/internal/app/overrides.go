package app

import (
	"time"

	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/policy"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

// overrides reads the file of overrides. Its name is judged here too, as there is
// no other place that needs it.
func (l *loader) overrides(now time.Time) []policy.Override {
	at := strictyaml.Path{"policies", "overrides"}
	if !l.check.RequireText(at, l.config.Policies.Overrides) {
		return nil
	}
	file := l.check.ResolvePath(l.config.Policies.Overrides)
	data, err := readfile.Read(file, maxFileBytes)
	if err != nil {
		l.check.Reject(at, "%s", err)
		return nil
	}
	active, err := policysource.ParseOverrides(data, l.config.TrustDomains.domains(), now)
	l.check.RejectFile(at, file, err)
	return active
}

// watchOverrides follows the file, if one is named. Overrides are a source of their
// own, so that a slip in the one file keeps no change of the other from taking effect.
func (a *authorizer) watchOverrides(l *loader) {
	if !l.check.Has(strictyaml.Path{"policies", "overrides"}) {
		return
	}
	read := func(l *loader) []policy.Override { return l.overrides(a.Now()) }
	files := reload.Files(l.check.ResolvePath(l.config.Policies.Overrides))
	a.overrides = watched(l, strictyaml.Path{"policies", "overrides"}, files, read, a.overridesChanged)
}

func (a *authorizer) overridesChanged(_ []policy.Override, err error) {
	if a.refused(overridesSource, err) {
		return
	}
	a.enforce()
	a.Log.Info("overrides reloaded", "active", len(a.inForce.Load().Overrides(a.Now())))
	a.tellOverrides()
}

// tellOverrides names who lifts what, and why, whenever that may have changed.
func (a *authorizer) tellOverrides() {
	for _, o := range a.inForce.Load().Overrides(a.Now()) {
		a.Log.Warn("an override lifts the policies of a target",
			"target", o.Target, "until", o.Until.UTC(), "by", o.By, "reason", o.Reason)
	}
}
