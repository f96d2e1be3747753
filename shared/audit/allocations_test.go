//go:build !race

package audit_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// A chain allocates nothing for a record.
func TestAChainAllocatesNothingForARecord(t *testing.T) {
	for _, settings := range []audit.Settings{{}, chained(time.Hour)} {
		log := audit.New(io.Discard, audit.Options{Settings: settings})
		write := func() {
			for range 100 {
				log.Record(newRecord("allow", "rule_allowed"))
			}
			if err := log.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		write()
		if n := testing.AllocsPerRun(50, write); n > 60 {
			t.Errorf("%v allocations for 100 records, with a chain: %t", n, settings.Chain != nil)
		}
	}
}
