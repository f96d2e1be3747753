// Package auditconfig checks the keys of the section audit that both configuration files
// have: the one of the authorizer and the one of the plugin.
package auditconfig

import (
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/audit"
)

// Bounds of the section. The smallest queue holds several of the largest records.
const (
	minQueue     = 256 * bytesize.KiB
	maxQueue     = bytesize.GiB
	maxAnonymous = 100_000 // a second: all of them, in practice
)

// Check rejects settings that are out of their bounds or contradict each other. All fields of
// the settings have a value.
func Check(file *strictyaml.Checker, s audit.Settings) {
	at := strictyaml.Path{"audit"}
	strictyaml.RequireRange(file, at.With("queue"), bytesize.Size(s.Queue), minQueue, maxQueue)
	if n := s.Anonymous; n < 1 || n > maxAnonymous {
		file.Reject(at.With("anonymousDenials"), "want 1 to %d records a second for each reason, not %d", maxAnonymous, n)
	}
	share := *s.SampleAllowed
	if strictyaml.RequireRange(file, at.With("sampleAllowed"), share, 0, 1) && s.Required && share < 1 {
		file.Reject(at.With("sampleAllowed"), "with required: true every allow has a record: remove sampleAllowed, or set required to false")
	}
	for i, name := range s.Mask {
		file.RejectError(at.With("mask", i), audit.CheckMask(name))
	}
	file.RequireDistinct(at.With("mask"), s.Mask)
}
