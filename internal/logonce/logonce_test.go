package logonce_test

import (
	"errors"
	"testing"

	"github.com/meshpass/meshpass/internal/logonce"
)

func TestAMessageIsNewWhenItChanges(t *testing.T) {
	var m logonce.Messages
	for i, row := range []struct {
		subject, message string
		want             bool
	}{
		{"redis", "", false},
		{"redis", "no answer", true},
		{"redis", "no answer", false},
		{"file", "no answer", true},
		{"redis", "wrong password", true},
		{"redis", "", false},
		{"redis", "wrong password", true},
	} {
		if got := m.IsNew(row.subject, row.message); got != row.want {
			t.Errorf("row %d: got %v", i, got)
		}
	}
}

func TestErrorsWithOneMessage(t *testing.T) {
	a, again, b := errors.New("a"), errors.New("a"), errors.New("b")
	for _, row := range []struct {
		one, other error
		want       bool
	}{{nil, nil, true}, {a, nil, false}, {nil, a, false}, {a, again, true}, {a, b, false}} {
		if got := logonce.SameMessage(row.one, row.other); got != row.want {
			t.Errorf("%v and %v: got %v", row.one, row.other, got)
		}
	}
}
