package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/pace"
	"github.com/meshpass/meshpass/e2e/scrape"
	"github.com/meshpass/meshpass/shared/keyset"
)

// rotatedAlgorithms are those of the keys, in turns. The key of the local mesh is the first one, and has the first algorithm.
var rotatedAlgorithms = []string{keyset.DefaultAlgorithm, keyset.ES256}

// rotator rotates the gateway's keys with the commands that an operator's timer runs, from one algorithm to the other and back, and
// reads the gateway's metrics to find out which key signs.
type rotator struct {
	every, lead time.Duration // as in Options
	dir         string        // of the mesh
	metrics     string        // address of the plugin's metrics

	// publishing is held while the key set's server is down. The lead is the time that a key needs to
	// reach the verifiers. An operator who knows that no key can reach them does not rotate.
	publishing sync.Mutex

	mu         sync.Mutex
	signing    string            // kid
	algorithms map[string]string // by kid
	made       []newKey          // in the order of time
	signed     []string          // kids that the gateway has signed with, in the order of time
	dropped    int               // keys that were removed from the set
}

type newKey struct {
	kid string
	at  time.Time
}

// rotateUntilDone rotates every second until ctx ends. The command makes a key only when one is due.
func (r *rotator) rotateUntilDone(ctx context.Context) error {
	return pace.EverySecond(ctx, r.rotateOnce)
}

// watchSigningKey reads the metrics until ctx ends, also while rotations wait.
func (r *rotator) watchSigningKey(ctx context.Context) error {
	return pace.EverySecond(ctx, r.readSigningKey)
}

func (r *rotator) rotateOnce(ctx context.Context) error {
	r.publishing.Lock()
	defer r.publishing.Unlock()
	r.mu.Lock()
	next := rotatedAlgorithms[(len(r.made)+1)%len(rotatedAlgorithms)]
	r.mu.Unlock()
	in := []string{"--dir", filepath.Join(r.dir, "keys"), "--out", filepath.Join(r.dir, "jwks.json"), "-o", "json"}
	printed, err := runMeshpass(ctx, append([]string{"keys", "rotate", "--every", r.every.String(), "--lead", r.lead.String(), "--lifetime", "10s", "--algorithm", next}, in...)...)
	if err != nil {
		return err
	}
	if _, err := runMeshpass(ctx, append([]string{"keys", "publish"}, in...)...); err != nil {
		return err
	}
	return r.recordReport(printed)
}

// waitForMetrics waits until the plugin serves its metrics, which is after the first request.
func (r *rotator) waitForMetrics(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := r.readSigningKey(ctx)
		if err == nil || !pace.For(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

// recordReport reads the output of meshpass keys rotate.
func (r *rotator) recordReport(printed []byte) error {
	var report struct {
		Made    string
		Dropped []string
		Keys    []struct{ KID, State, Algorithm string }
	}
	if err := json.Unmarshal(printed, &report); err != nil {
		return fmt.Errorf("report of keys rotate: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if report.Made != "" {
		r.made = append(r.made, newKey{kid: report.Made, at: time.Now()})
	}
	r.dropped += len(report.Dropped)
	for _, key := range report.Keys {
		r.algorithms[key.KID] = key.Algorithm
		if key.State == "signing" {
			r.signing = key.KID
		}
	}
	return nil
}

var currentKey = regexp.MustCompile(`^meshpass_edge_key_current\{.*kid="([^"]+)".*\}$`)

// readSigningKey records the key that the gateway signs with, by its metrics.
func (r *rotator) readSigningKey(ctx context.Context) error {
	series, err := scrape.Read(ctx, http.DefaultClient, r.metrics)
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, value := range series {
		if found := currentKey.FindStringSubmatch(name); found != nil && value == "1" && !slices.Contains(r.signed, found[1]) {
			r.signed = append(r.signed, found[1])
		}
	}
	return err
}

// unusedKeys returns the keys that the gateway should have signed with by now, and has not.
func (r *rotator) unusedKeys(now time.Time) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var kids []string
	for _, key := range r.made {
		if !slices.Contains(r.signed, key.kid) && now.Sub(key.at) > r.lead+r.every {
			kids = append(kids, key.kid)
		}
	}
	return kids
}

func (r *rotator) signingKey() (kid, algorithm string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signing, r.algorithms[r.signing]
}

// usedAlgorithms are those of the keys that the gateway has signed with, in the order of time. mu is held.
func (r *rotator) usedAlgorithms() []string {
	var used []string
	for _, kid := range r.signed {
		used = append(used, r.algorithms[kid])
	}
	return used
}
