package plan

import "time"

// NewRecorded is a load whose requests have times of their own, since the start.
func NewRecorded(l Load, offsets []time.Duration) Load {
	l.offsets = offsets
	return l
}
