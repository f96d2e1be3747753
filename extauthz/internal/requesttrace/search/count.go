package search

import (
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
	"github.com/meshpass/meshpass/internal/logqueue"
)

// Read counts what was read. Nothing in a log stops a search.
type Read struct {
	Sources int   `json:"sources"`
	Bytes   int64 `json:"bytes"`
	Lines   int   `json:"lines"` // without blank ones

	Audit int `json:"audit"` // records of the audit trail
	Envoy int `json:"envoy"` // lines of Envoy's access log
	Tyk   int `json:"tyk"`   // lines of Tyk's access log
	Other int `json:"other"` // lines of other programs

	Cut        int `json:"cut,omitempty"`          // parts of records
	TooLong    int `json:"too_long,omitempty"`     // lines of more than 1 MiB
	Unreadable int `json:"unreadable,omitempty"`   // records with members of other types; counted where records are read in full
	Newer      int `json:"newer,omitempty"`        // audit records of a kind that this version does not know
	TykText    int `json:"tyk_text,omitempty"`     // lines of Tyk's access log in text; only JSON is read
	OutOfOrder int `json:"out_of_order,omitempty"` // audit records that are a second or more older than one before them in the same source
	Repeated   int `json:"repeated,omitempty"`     // records of the answer that were read twice
	Masked     int `json:"masked,omitempty"`       // records that may match, but for a masked field

	Missing map[logqueue.Cause]uint64 `json:"missing,omitempty"` // records that the audit trail counts as not written, by cause
	Failed  []string                  `json:"failed,omitempty"`  // sources that could not be read to their end, and why
}

// countLine counts one line by its class, and the records that a line counts as missing.
func (c *Read) countLine(object []byte, class record.Class) {
	if class != record.Blank {
		c.Lines++
	}
	switch class {
	case record.Blank:
	case record.Audit:
		c.Audit++
	case record.EnvoyLog:
		c.Envoy++
	case record.TykLog:
		c.Tyk++
	case record.TykText:
		c.TykText++
	case record.Newer:
		c.Newer++
	case record.Cut:
		c.Cut++
	case record.Gap:
		c.countGap(object)
	default:
		c.Other++
	}
}

func (c *Read) countGap(object []byte) {
	gap, err := record.ParseGap(object)
	if err != nil {
		c.Unreadable++
		return
	}
	c.Audit++
	if c.Missing == nil {
		c.Missing = map[logqueue.Cause]uint64{}
	}
	c.Missing[gap.Cause] += gap.Count
}
