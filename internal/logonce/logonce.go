// Package logonce decides whether a fault is logged: if its message has changed, not each time that
// it is found.
package logonce

import "sync"

// SameMessage reports whether two errors have one message, or both are nil.
func SameMessage(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}

// Messages remembers the last message of each subject, such as a source. It is safe for use from
// many goroutines. The zero value has logged nothing.
type Messages struct {
	mu   sync.Mutex
	last map[string]string
}

// IsNew remembers the message of a subject and reports whether it is logged: it is not empty,
// and differs from the last message of the subject. The empty message ends a fault.
func (m *Messages) IsNew(subject, message string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.last[subject]
	if m.last == nil {
		m.last = map[string]string{}
	}
	m.last[subject] = message
	return message != "" && message != before
}
