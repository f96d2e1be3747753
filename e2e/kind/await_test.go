package kind

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
)

func TestAwait(t *testing.T) {
	var out bytes.Buffer
	e := &Environment{out: &Printer{Out: &out}}
	ready := func(context.Context) (string, error) { return "", nil }
	if err := e.waitFor(t.Context(), "it", time.Minute, ready); err != nil || out.Len() > 0 {
		t.Errorf("what is there is waited for: %v, %q", err, out.String())
	}

	never := func(context.Context) (string, error) { return "two of three", errors.New("no answer") }
	err := e.waitFor(t.Context(), "it", time.Millisecond, never)
	if want := "it: not after 1ms: no answer"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if want := "   waiting for it, 0 of 0 s: no answer\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}

	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.waitFor(interrupted, "it", time.Minute, never); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v", err)
	}
}
