package jwks

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// A flood of unknown kids causes one fetch in a while, and a kid that is not found
// none for longer.
func TestMissingKeys(t *testing.T) {
	var m missing
	start := time.Now()
	for _, row := range []struct {
		kid   string
		after time.Duration
		want  bool
	}{
		{"a", 0, true},
		{"b", 1 * time.Second, false}, // too soon
		{"a", 11 * time.Second, false},
		{"b", 11 * time.Second, true},
		{"c", 12 * time.Second, false},
		{"b", 30 * time.Second, false},
		{"a", 61 * time.Second, true},
	} {
		if got := m.want(row.kid, start.Add(row.after), 10*time.Second, time.Minute); got != row.want {
			t.Errorf("%s after %s: %v", row.kid, row.after, got)
		}
	}
	for i := range 10000 {
		m.want(fmt.Sprint(i), start.Add(time.Duration(i)*time.Second), 10*time.Second, time.Minute)
	}
	if len(m.kids) > 8 {
		t.Errorf("%d kids are remembered", len(m.kids))
	}
}

func TestAMissingKeyIsFetched(t *testing.T) {
	first, firstKid := set(t)
	second, secondKid := set(t)
	server := newServer(t, text(first))
	f := follow(t, Config{URL: server.URL})
	f.bounds.pause = 0
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	eventually(t, "no first fetch", func() bool { return f.kid() == firstKid })
	server.answers(text(second))
	for range 1000 {
		f.Missing(secondKid)
	}
	eventually(t, "not fetched", func() bool { return f.kid() == secondKid })
	stop()
	<-ended
	if asked := server.asked.Load(); asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

func TestWhenTheNextFetchIs(t *testing.T) {
	for _, row := range []struct{ maxAge, want time.Duration }{
		{0, 5 * time.Minute}, {time.Hour, 5 * time.Minute}, {2 * time.Minute, 2 * time.Minute}, {time.Second, 30 * time.Second},
	} {
		if got := defaults.within(row.maxAge, 5*time.Minute); got != row.want {
			t.Errorf("%s: got %s", row.maxAge, got)
		}
	}
	for header, want := range map[string]time.Duration{
		"": 0, "no-store": 0, "public, max-age=60": time.Minute, "Max-Age=7": 7 * time.Second, "max-age=-1": 0, "max-age=99999999999999999999": 0,
	} {
		if got := maxAge(header); got != want {
			t.Errorf("%s: got %s", header, got)
		}
	}
	f := follow(t, Config{URL: "http://127.0.0.1:1"})
	for range 30 {
		f.failed(errors.New("away"))
		if f.next <= 0 || f.next > f.Refresh {
			t.Fatalf("next after %s", f.next)
		}
	}
	if f.next < f.Refresh*8/10 {
		t.Errorf("after many failures: %s", f.next)
	}
}
