package progress

import (
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	for name, row := range map[string]struct {
		terminal bool
		total    int64
		want     string
	}{
		"a terminal": {true, 10e9,
			"\r\x1b[Kread [######........................] 20 % of 10.00 GB, 1000 MB/s, 8s left\r\x1b[Kread [#############.................] 45 % of 10.00 GB, 1000 MB/s, 6s left\r\x1b[K"},
		"a file":            {false, 10e9, "meshpass: read [######........................] 20 % of 10.00 GB, 1000 MB/s, 8s left\n"},
		"of unknown length": {false, 0, "meshpass: read 2.00 GB, 1000 MB/s\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			b := &Bar{to: &out, terminal: row.terminal, what: "read", total: row.total, now: func() time.Time { return now }}
			b.startClock()
			for _, step := range []time.Duration{1999 * time.Millisecond, time.Millisecond, time.Millisecond, 2499 * time.Millisecond} {
				now = now.Add(step)
				b.Set(now.Sub(b.began).Milliseconds() * 1e6)
			}
			b.End()
			if got := out.String(); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

// A command that ends at once prints nothing.
func TestQuiet(t *testing.T) {
	var out strings.Builder
	b := New(&out, "read", 10)
	b.Set(10)
	b.End()
	if out.Len() > 0 {
		t.Errorf("printed %q", out.String())
	}
}
