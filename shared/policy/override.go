package policy

import (
	"fmt"
	"time"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// Override lifts all documents from the workloads of a target for a bounded time,
// except what guardrails deny: the way out when a policy locks out more than it
// should and no time is left to mend it.
type Override struct {
	Target     string // as in targets.workloads
	Until      time.Time
	By, Reason string

	pattern identity.Pattern
}

// MaxOverride is how far ahead an override may end.
const MaxOverride = 24 * time.Hour

type overridesFile struct {
	Overrides []overrideSpec `yaml:"overrides"`
}

type overrideSpec struct {
	Target string `yaml:"target"`
	Mode   string `yaml:"mode"`
	Until  string `yaml:"until"`
	By     string `yaml:"by"`
	Reason string `yaml:"reason"`
}

// ParseOverrides reads the file of overrides; none is a list that is empty. What
// is over is left out. All that is wrong comes back together, as
// [strictyaml.Problems] without the file's name.
func ParseOverrides(data []byte, domains identity.TrustDomains, now time.Time) ([]Override, error) {
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, err
	}
	var file overridesFile
	problems := doc.Decode(&file)
	if !doc.Has("overrides") {
		problems.Add(doc.At(), "want overrides: a list, which may be empty")
	}
	var active []Override
	for i, spec := range file.Overrides {
		o, wrong := spec.override(domains, now)
		for field, message := range wrong {
			problems.Add(doc.At("overrides", i, field), "%s", message)
		}
		if now.Before(o.Until) {
			active = append(active, o)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return active, nil
}

// override also says what is wrong, by field.
func (s overrideSpec) override(domains identity.TrustDomains, now time.Time) (o Override, wrong map[string]string) {
	wrong = map[string]string{}
	pattern, err := domains.ParseTarget(s.Target)
	if err != nil {
		wrong["target"] = "target " + err.Error()
	}
	if s.Mode != string(Shadow) {
		wrong["mode"] = fmt.Sprintf("mode %q: want shadow", s.Mode)
	}
	if s.By == "" || s.Reason == "" {
		wrong["by"] = "want by and reason: who lifts the policies, and why"
	}
	until, err := time.Parse(time.RFC3339, s.Until)
	switch {
	case err != nil:
		wrong["until"] = fmt.Sprintf("until %q: want a time such as 2026-06-01T12:00:00Z, as an override ends by itself", s.Until)
	case until.After(now.Add(MaxOverride)):
		wrong["until"] = fmt.Sprintf("until is more than %s ahead: an override is for an emergency; write documents for what shall stay", MaxOverride)
	}
	return Override{Target: s.Target, Until: until, By: s.By, Reason: s.Reason, pattern: pattern}, wrong
}

// With gives the same documents under other circumstances: what happens to
// workloads that no document targets, and what is lifted.
func (s *Set) With(unguarded Mode, overrides []Override) *Set {
	changed := *s
	changed.unguarded, changed.overrides = unguarded, overrides
	return &changed
}

// WithoutOutage gives the same documents with onOutage: allow having no effect. It is
// for the time in which no trusted issuer is home: [Loader.NoHomeIssuer] refuses such
// documents, and this covers their last good versions.
func (s *Set) WithoutOutage() *Set {
	changed := *s
	changed.noOutage = true
	return &changed
}

// Overrides are those that lift something now.
func (s *Set) Overrides(now time.Time) []Override {
	var active []Override
	for _, o := range s.overrides {
		if now.Before(o.Until) {
			active = append(active, o)
		}
	}
	return active
}

// override is the one that lifts the documents of a workload now; nil: none.
func (s *Set) override(w identity.Workload, now time.Time) *Override {
	for i := range s.overrides {
		if o := &s.overrides[i]; o.pattern.Match(w) && now.Before(o.Until) {
			return o
		}
	}
	return nil
}
