package flood_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/flood"
)

// A short flood of each kind. make flood sends each for ten minutes.
func TestFloods(t *testing.T) {
	t.Parallel()
	results, err := flood.Run(t.Context(), flood.Options{Parallel: len(flood.KindNames()), Duration: 2 * time.Second, Rate: 200, Progress: t.Output()})
	if err != nil {
		t.Error(err)
	}
	if err := flood.Print(t.Output(), results); err != nil {
		t.Error(err)
	}
	var kinds []string
	for _, r := range results {
		kinds = append(kinds, r.Kind)
		if len(r.Wrong) > 0 {
			t.Errorf("%s: %q", r.Kind, r.Wrong)
		}
	}
	if names := flood.KindNames(); !slices.Equal(kinds, names) {
		t.Errorf("got results of %v, want %v", kinds, names)
	}
}

func TestAnUnknownKind(t *testing.T) {
	_, err := flood.Run(t.Context(), flood.Options{Kinds: []string{"tokens", "rain"}, Duration: time.Second, Progress: t.Output()})
	if want := `no kind "rain"; the kinds are tokens, claims, kids, paths, callers, callees, hosts, handshakes`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A run that is interrupted ends with an error, because it has measured too little.
func TestAnInterruptedRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var progress bytes.Buffer
	results, err := flood.Run(ctx, flood.Options{Duration: time.Hour, Progress: &progress})
	if err == nil || len(results) != 0 || progress.Len() != 0 {
		t.Errorf("got %v, %v, %s", results, err, &progress)
	}
}

// The figures of make sizing, from a short run.
func TestSizing(t *testing.T) {
	t.Parallel()
	s, err := flood.MeasureSizing(t.Context(), flood.SizingOptions{Duration: time.Second, Rate: 100, Tokens: 2000, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Print(t.Output()); err != nil {
		t.Error(err)
	}
	var names []string
	for _, c := range s.Checks {
		if names = append(names, c.Name); c.CPU <= 0 || c.Rate <= 0 || c.Resident <= 0 {
			t.Errorf("%+v", c)
		}
	}
	want := []string{"the same token for a minute", "a new token each time, ES256", "no token", "the same token, 1,000 documents"}
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if s.Documents.Live <= 0 || s.Documents.Start <= 0 || s.Tokens.Live <= 0 || s.Tokens.Sent < 2000 || s.Idle.Resident <= 0 {
		t.Errorf("documents %+v, tokens %+v, idle %+v", s.Documents, s.Tokens, s.Idle)
	}
}
