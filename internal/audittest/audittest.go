// Package audittest keeps audit records in memory for tests.
package audittest

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// Buffer holds the records of a log. Its readers wait for records that were
// made before and are not written yet.
type Buffer struct {
	Log *audit.Log

	mu   sync.Mutex
	text bytes.Buffer
}

// NewBuffer starts a log that ends with the process.
func NewBuffer(o audit.Options) *Buffer {
	b := &Buffer{}
	b.Log = audit.New(sink{b}, o)
	return b
}

type sink struct{ *Buffer }

func (s sink) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(line)
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
