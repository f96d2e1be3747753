package status

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
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
	Chain         *AuditChain       `json:"chain,omitempty"`   // nil: records are no chain
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
	if a.Chain != nil && IsCheckpointOverdue(a.Chain.Waits, a.Chain.Checkpoint) {
		all = append(all, fmt.Sprintf("audit chain: no checkpoint for %s, with checkpoint: %s: the lines since the last one can be changed without a trace (checkpoints that could not be written: %d)",
			formatSeconds(a.Chain.Waits), formatSeconds(a.Chain.Checkpoint), a.Chain.Failed))
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

// AuditChain is the state of the hash chain of audit records.
type AuditChain struct {
	ID             string    `json:"id"`
	Key            string    `json:"key"`               // that signs now, as in checkpoints
	Checkpoint     float64   `json:"checkpointSeconds"` // the setting audit.chain.checkpoint
	Lines          uint64    `json:"lines"`
	Uncovered      uint64    `json:"uncovered"`               // of these, the lines after the last checkpoint
	LastCheckpoint time.Time `json:"lastCheckpoint,omitzero"` // zero: not yet written
	Age            float64   `json:"ageSeconds"`              // of the last checkpoint; 0 without one
	Waits          float64   `json:"waitsSeconds"`            // how long a checkpoint has been missing; 0: no checkpoint is missing
	Failed         uint64    `json:"failed"`                  // checkpoints that could not be written
}

// DescribeChain describes a chain; nil: no chain is being written. A clock that goes back gives no negative age.
func DescribeChain(c audit.ChainStats, now time.Time) *AuditChain {
	if c.ID == "" {
		return nil
	}
	age := 0.0
	if !c.LastCheckpoint.IsZero() {
		age = max(0, now.Sub(c.LastCheckpoint).Seconds())
	}
	return &AuditChain{
		ID: c.ID, Key: c.Key, Checkpoint: c.Checkpoint.Seconds(), Lines: c.Lines, Uncovered: c.Uncovered,
		LastCheckpoint: c.LastCheckpoint, Age: age, Waits: c.Waits(now).Seconds(), Failed: c.Failed,
	}
}

// IsCheckpointOverdue reports whether a checkpoint is missing for longer than the setting and the time of a write, in seconds.
func IsCheckpointOverdue(waits, checkpoint float64) bool { return waits > checkpoint+stalledAfter }

// String describes the state in one line.
func (c AuditChain) String() string {
	last := "no checkpoint yet"
	if !c.LastCheckpoint.IsZero() {
		last = fmt.Sprintf("last checkpoint %s ago", formatSeconds(c.Age))
	}
	return fmt.Sprintf("%s, lines %d, %s, %d lines since, failed checkpoints %d, key %s", c.ID, c.Lines, last, c.Uncovered, c.Failed, c.Key)
}

func formatSeconds(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
