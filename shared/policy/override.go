package policy

import (
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// Override lifts all documents from the workloads of a target for a bounded time,
// except what guardrails deny: the way out when a policy locks out more than it
// should and no time is left to mend it.
type Override struct {
	Target string    `yaml:"target"` // as in targets.workloads
	Mode   Mode      `yaml:"mode"`   // Shadow
	Until  time.Time `yaml:"until"`
	By     string    `yaml:"by"`
	Reason string    `yaml:"reason"`

	pattern identity.Pattern
}

// MaxOverride is how far ahead an override may end.
const MaxOverride = 24 * time.Hour

type overridesFile struct {
	Overrides []Override `yaml:"overrides"`
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
	for i := range file.Overrides {
		o := &file.Overrides[i]
		o.check(doc, domains, now, i, &problems)
		if now.Before(o.Until) {
			active = append(active, *o)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return active, nil
}

func (o *Override) check(doc *strictyaml.Document, domains identity.TrustDomains, now time.Time, i int, p *strictyaml.Problems) {
	at := func(field string) strictyaml.Position { return doc.At("overrides", i, field) }
	var err error
	if o.pattern, err = domains.ParseTarget(o.Target); err != nil {
		p.Add(at("target"), "target %s", err)
	}
	if o.Mode != Shadow {
		p.Add(at("mode"), "mode %q: want shadow", o.Mode)
	}
	if o.By == "" || o.Reason == "" {
		p.Add(at("by"), "want by and reason: who lifts the policies, and why")
	}
	switch {
	case o.Until.IsZero():
		p.Add(at("until"), "want until, a time such as 2026-06-01T12:00:00Z: an override ends by itself")
	case o.Until.After(now.Add(MaxOverride)):
		p.Add(at("until"), "until is more than %s ahead: an override is for an emergency; write documents for what shall stay", MaxOverride)
	}
}

// With gives the same documents under other circumstances: what happens to
// workloads that no document targets, and what is lifted.
func (s *Set) With(unguarded Mode, overrides []Override) *Set {
	changed := *s
	changed.unguarded, changed.overrides = unguarded, overrides
	return &changed
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
