package source

import (
	"time"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

type overridesFile struct {
	Overrides []overrideEntry `yaml:"overrides"`
}

type overrideEntry struct {
	Target string `yaml:"target"`
	Mode   string `yaml:"mode"`
	Until  string `yaml:"until"`
	By     string `yaml:"by"`
	Reason string `yaml:"reason"`
}

// ParseOverrides reads the file of overrides. A file without overrides has an empty list.
// Overrides that have ended are left out. All problems come back together, as
// [strictyaml.Problems] without the file's name.
func ParseOverrides(data []byte, domains identity.TrustDomains, now time.Time) ([]policy.Override, error) {
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, err
	}
	var file overridesFile
	problems := doc.Decode(&file)
	if !doc.Has("overrides") {
		problems.Add(doc.PositionOf(), "want overrides: a list, which may be empty")
	}
	var active []policy.Override
	for i, entry := range file.Overrides {
		o := entry.parseOverride(domains, now, func(field, format string, args ...any) {
			problems.Add(doc.PositionOf("overrides", i, field), format, args...)
		})
		if now.Before(o.Until) {
			active = append(active, o)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return active, nil
}

// parseOverride calls fail for each field that is wrong.
func (e overrideEntry) parseOverride(domains identity.TrustDomains, now time.Time, fail func(field, format string, args ...any)) policy.Override {
	pattern, err := domains.ParseTarget(e.Target)
	if err != nil {
		fail("target", "target %s", err)
	}
	if e.Mode != string(policy.Shadow) {
		fail("mode", "mode %q: want shadow", e.Mode)
	}
	if e.By == "" || e.Reason == "" {
		fail("by", "want by and reason: who lifts the policies, and why")
	}
	until, err := time.Parse(time.RFC3339, e.Until)
	switch {
	case err != nil:
		fail("until", "until %q: want a time such as 2026-06-01T12:00:00Z, as an override ends by itself", e.Until)
	case until.After(now.Add(policy.MaxOverride)):
		fail("until", "until is more than %s ahead: an override is for an emergency; change the documents for a permanent rule", policy.MaxOverride)
	}
	return policy.Override{Target: e.Target, Pattern: pattern, Until: until, By: e.By, Reason: e.Reason}
}
