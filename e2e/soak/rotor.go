package soak

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// rotor rotates the gateway's keys with the commands that an operator's timer runs, and looks which
// key the gateway signs with.
type rotor struct {
	Options
	dir, metrics string

	// publishing is held while the key set's server is away. A lead covers the time that it takes to
	// reach verifiers; who knows that nothing reaches them does not rotate.
	publishing sync.Mutex

	mu      sync.Mutex
	signing string          // kid
	made    []made          // in the order of time
	signed  map[string]bool // kids with which the gateway was seen to sign
	dropped int             // keys whose time was over
}

type made struct {
	kid string
	at  time.Time
}

// run rotates until ctx ends.
func (r *rotor) run(ctx context.Context) error { return everySecond(ctx, r.once) }

// watch looks at the gateway until ctx ends, also while rotations wait.
func (r *rotor) watch(ctx context.Context) error { return everySecond(ctx, r.look) }

func everySecond(ctx context.Context, do func(context.Context) error) error {
	for pause(ctx, time.Second) {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (r *rotor) once(ctx context.Context) error {
	r.publishing.Lock()
	defer r.publishing.Unlock()
	in := []string{"--dir", filepath.Join(r.dir, "keys"), "--out", filepath.Join(r.dir, "jwks.json"), "-o", "json"}
	printed, err := meshpass(ctx, append([]string{"keys", "rotate", "--every", r.Every.String(), "--lead", r.Lead.String(), "--lifetime", "10s"}, in...)...)
	if err != nil {
		return err
	}
	if _, err := meshpass(ctx, append([]string{"keys", "publish"}, in...)...); err != nil {
		return err
	}
	return r.note(printed)
}

// ready waits for the metrics, which the plugin serves a moment after the first request.
func (r *rotor) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := r.look(ctx)
		if err == nil || !pause(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

// note keeps what the command has reported.
func (r *rotor) note(printed []byte) error {
	var report struct {
		Made    string
		Dropped []string
		Keys    []struct{ KID, State string }
	}
	if err := json.Unmarshal(printed, &report); err != nil {
		return fmt.Errorf("report of keys rotate: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if report.Made != "" {
		r.made = append(r.made, made{report.Made, time.Now()})
	}
	r.dropped += len(report.Dropped)
	for _, key := range report.Keys {
		if key.State == "signing" {
			r.signing = key.KID
		}
	}
	return nil
}

var current = regexp.MustCompile(`^meshpass_edge_key_current\{.*kid="([^"]+)".*\} 1$`)

// look asks the gateway's metrics which key it signs with.
func (r *rotor) look(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.metrics+"/metrics", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if found := current.FindStringSubmatch(lines.Text()); found != nil {
			r.mu.Lock()
			r.signed[found[1]] = true
			r.mu.Unlock()
		}
	}
	return lines.Err()
}

// unused lists keys with which the gateway should have signed, and was not seen to.
func (r *rotor) unused(now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kids []string
	for _, key := range r.made {
		if !r.signed[key.kid] && now.Sub(key.at) > r.Lead+r.Every {
			kids = append(kids, key.kid)
		}
	}
	return kids
}

func (r *rotor) signingKey() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signing
}
