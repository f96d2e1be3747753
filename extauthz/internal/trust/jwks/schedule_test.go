package jwks

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// A flood of unknown kids causes few fetches. A kid that is not found causes further
// fetches: soon at first, because its set may be published in a moment, and then once a
// minute.
func TestMissingKeys(t *testing.T) {
	var m missingKeys
	start := time.Now()
	for _, row := range []struct {
		kid   string
		after time.Duration
		want  bool
	}{
		{"a", 0, true},
		{"b", 1 * time.Second, false}, // too soon after another fetch
		{"b", 10 * time.Second, true},
		{"a", 19 * time.Second, false},
		{"a", 20 * time.Second, true}, // its first wait is over
		{"a", 30 * time.Second, false},
		{"a", 39 * time.Second, false},
		{"a", 40 * time.Second, true},
		{"a", 79 * time.Second, false},
		{"a", 80 * time.Second, true},
		{"a", 139 * time.Second, false},
		{"a", 140 * time.Second, true},
		{"a", 199 * time.Second, false},
		{"a", 200 * time.Second, true},
		{"a", 320 * time.Second, true}, // forgotten meanwhile
		{"a", 330 * time.Second, true},
	} {
		if got := m.startFetch(row.kid, start.Add(row.after), 10*time.Second, time.Minute); got != row.want {
			t.Errorf("%s after %s: %v", row.kid, row.after, got)
		}
	}
	for i := range 10000 {
		m.startFetch(fmt.Sprint(i), start.Add(time.Duration(i)*time.Second), 10*time.Second, time.Minute)
	}
	if len(m.kids) > 13 {
		t.Errorf("%d kids are remembered", len(m.kids))
	}
}

func TestAMissingKeyIsFetched(t *testing.T) {
	first, firstKid := set(t)
	second, secondKid := set(t)
	server := newServer(t, text(first))
	f := follow(t, Config{URL: server.URL})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	eventually(t, "no first fetch", func() bool { return f.kid() == firstKid })
	server.answers(text(second))
	f.missing.noteFetch(time.Now().Add(-f.bounds.missingPause)) // as if the first fetch were that long ago
	for range 1000 {
		f.FetchForKey(secondKid)
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
		if got := defaultBounds.waitAfterSuccess(row.maxAge, 5*time.Minute); got != row.want {
			t.Errorf("%s: got %s", row.maxAge, got)
		}
	}
	for header, want := range map[string]time.Duration{
		"": 0, "no-store": 0, "public, max-age=60": time.Minute, "Max-Age=7": 7 * time.Second, "max-age=-1": 0, "max-age=99999999999999999999": 0,
	} {
		if got := parseMaxAge(header); got != want {
			t.Errorf("%s: got %s", header, got)
		}
	}
	f := follow(t, Config{URL: "http://127.0.0.1:1"})
	for range 30 {
		f.recordFailure(errors.New("away"))
		if f.wait <= 0 || f.wait > f.Config.Refresh {
			t.Fatalf("next after %s", f.wait)
		}
	}
	if f.wait < f.Config.Refresh*8/10 {
		t.Errorf("after many failures: %s", f.wait)
	}
}
