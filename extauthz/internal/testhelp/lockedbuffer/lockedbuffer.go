// Package lockedbuffer has a buffer that one goroutine of a test writes while another reads it.
package lockedbuffer

import (
	"bytes"
	"sync"
)

// Buffer is ready to use as its zero value.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// CountLines counts the lines so far that are complete.
func (b *Buffer) CountLines() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Count(b.text.Bytes(), []byte("\n"))
}
