package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Audit is the state of the audit trail. No Check waits for it, unless Required is set: then
// an allow does.
type Audit struct {
	Output        string            `json:"output"`         // stdout, or the file
	Required      bool              `json:"required"`       // an allow is answered only after its record was written
	SampleAllowed *float64          `json:"sampleAllowed"`  // share of allows that are recorded; nil: of an authorizer of an earlier version
	Mask          []string          `json:"mask,omitempty"` // fields whose values are replaced
	Queued        int               `json:"queued"`         // records that wait to be written
	Bytes         int               `json:"bytes"`          // of these
	Limit         int               `json:"limit"`          // of Bytes; records beyond it are lost
	Waits         float64           `json:"waitsSeconds"`   // how long the oldest of them has waited
	Written       uint64            `json:"written"`
	Lost          map[string]uint64 `json:"lost"`              // by cause, with every cause
	Suppressed    uint64            `json:"suppressed"`        // anonymous denials that were counted and not recorded
	Sampled       uint64            `json:"sampled"`           // allows that were counted and not recorded
	Problem       string            `json:"problem,omitempty"` // why the last write failed
}

// stalledAfter is how long a record may wait before it is a finding.
const stalledAfter = 5 // seconds

// Findings describes what is wrong now. Records that were lost before are counted, and are
// not a finding, because it would never end.
func (a Audit) Findings() (all []string) {
	consequence := ""
	if a.Required {
		consequence = "; records are required, so requests are not allowed (503 audit_unavailable)"
	}
	if a.Waits > stalledAfter {
		all = append(all, fmt.Sprintf("audit: nothing was written to %s for %.0f s: its reader or disk hangs%s", a.Output, a.Waits, consequence))
	}
	if a.Problem != "" {
		all = append(all, fmt.Sprintf("audit: the last write to %s failed: %s%s", a.Output, a.Problem, consequence))
	}
	return all
}

// String describes the state in one line.
func (a Audit) String() string {
	lost := []string{}
	for _, cause := range slices.Sorted(maps.Keys(a.Lost)) {
		if a.Lost[cause] > 0 {
			lost = append(lost, fmt.Sprintf("%d %s", a.Lost[cause], cause))
		}
	}
	if len(lost) == 0 {
		lost = append(lost, "none")
	}
	text := fmt.Sprintf("%s, %d of %d bytes wait, lost %s, suppressed %d", a.Output, a.Bytes, a.Limit, strings.Join(lost, ", "), a.Suppressed)
	if a.Required {
		text += ", required"
	}
	if a.SampleAllowed != nil && *a.SampleAllowed < 1 {
		text += fmt.Sprintf(", sampleAllowed %v left out %d", *a.SampleAllowed, a.Sampled)
	}
	if len(a.Mask) > 0 {
		text += ", masked " + strings.Join(a.Mask, " ")
	}
	return text
}
