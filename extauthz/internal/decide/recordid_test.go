package decide

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestRecordIDs(t *testing.T) {
	now := time.UnixMilli(1_790_000_000_123)
	seen := map[string]bool{}
	for range 1000 {
		text := newRecordID(now)
		id, err := uuid.Parse(text)
		if err != nil || id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: %v, version %d, variant %v", text, err, id.Version(), id.Variant())
		}
		if seconds, nanoseconds := id.Time().UnixTime(); seconds != now.Unix() || nanoseconds != 123_000_000 {
			t.Fatalf("%s: %d s, %d ns", text, seconds, nanoseconds)
		}
		seen[text] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different ids", len(seen))
	}
}
