// Package audittest keeps audit records in memory for tests, and checks records by their
// schema.
package audittest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// Buffer holds the records of a log. Its readers wait for records that were
// made before and are not written yet.
type Buffer struct {
	Log *audit.Log

	mu   sync.Mutex
	text bytes.Buffer
	bad  []error // of lines that are not records
}

// NewBuffer starts a log that ends with the process. The test fails at its end if one of its
// records does not match the schema.
func NewBuffer(t testing.TB, o audit.Options) *Buffer {
	b := &Buffer{}
	b.Log = audit.New(sink{b}, o)
	t.Cleanup(func() {
		b.waitForRecords()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, err := range b.bad {
			t.Error(err)
		}
	})
	return b
}

type sink struct{ *Buffer }

func (s sink) Write(lines []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range bytes.Split(lines, []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		if err := CheckLine(line); err != nil {
			s.bad = append(s.bad, fmt.Errorf("not an audit record: %w: %s", err, line))
		}
	}
	return s.text.Write(lines)
}

// String returns all records since the last Take.
func (b *Buffer) String() string {
	b.waitForRecords()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TakeRecords is String, and removes the records.
func (b *Buffer) TakeRecords() string {
	b.waitForRecords()
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.text.String()
	b.text.Reset()
	return text
}

// waitForRecords panics if a writer in memory does not end within a minute.
func (b *Buffer) waitForRecords() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.Log.Flush(ctx); err != nil {
		panic(err)
	}
}
