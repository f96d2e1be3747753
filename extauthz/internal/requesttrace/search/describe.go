package search

import (
	"fmt"
	"maps"
	"slices"
)

// Describe lists what was read, as lines of text. Kinds that did not occur are left out.
func (c Read) Describe() []string {
	lines := []string{fmt.Sprintf("read %s in %s of %s: %s, %s, %s, %s",
		countThings(c.Lines, "line"), describeBytes(c.Bytes), countThings(c.Sources, "source"), countThings(c.Audit, "audit record"), countThings(c.Envoy, "line")+" of Envoy",
		countThings(c.Tyk, "line")+" of Tyk", countThings(c.Other, "other line"))}
	for _, row := range []struct {
		n    int
		text string
	}{
		{c.Cut, "parts of records that were cut"},
		{c.TooLong, "lines longer than 1 MiB"},
		{c.Unreadable, "records that cannot be read"},
		{c.Newer, "audit records of a kind that this version does not know"},
		{c.TykText, "lines of Tyk's access log in text: set log_format: json"},
		{c.OutOfOrder, "audit records that are a second or more older than one before them"},
		{c.Repeated, "records that were read twice"},
		{c.Masked, "records that may match, but for a masked field"},
	} {
		if row.n > 0 {
			lines = append(lines, fmt.Sprintf("  %d %s", row.n, row.text))
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(c.Missing)) {
		lines = append(lines, fmt.Sprintf("  %d records that were never written: %s", c.Missing[cause], cause))
	}
	for _, failed := range c.Failed {
		lines = append(lines, "  not read to the end: "+failed)
	}
	return lines
}

func countThings(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func describeBytes(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	value, at := float64(n)/unit, 0
	for value >= unit && at < 3 {
		value /= unit
		at++
	}
	return fmt.Sprintf("%.1f %s", value, []string{"kB", "MB", "GB", "TB"}[at])
}
