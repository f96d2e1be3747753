// Package redistest is the stand-in for Redis in tests: miniredis, which does not know
// ROLE, with an answer to ROLE.
package redistest

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// StartServer starts a server that answers ROLE as a primary, and stops it with the test.
func StartServer(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	m := miniredis.RunT(t)
	if err := AnswerRole(m); err != nil {
		t.Fatal(err)
	}
	return m
}

// AnswerRole makes a running server answer ROLE like a primary without replicas.
func AnswerRole(m *miniredis.Miniredis) error {
	return m.Server().Register("ROLE", func(c *server.Peer, _ string, _ []string) {
		c.WriteLen(3)
		c.WriteBulk("master")
		c.WriteInt(0)
		c.WriteLen(0)
	})
}
