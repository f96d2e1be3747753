package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/metrics"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// samples gives the scrape's values by name and labels.
func (p *rig) samples(t *testing.T) map[string]string {
	t.Helper()
	return parseSamples(t, p.watch.metricsText())
}

func parseSamples(t *testing.T, text []byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " ")
		if _, twice := all[line[:at]]; twice {
			t.Errorf("%s is there twice", line[:at])
		}
		all[line[:at]] = line[at+1:]
	}
	return all
}

func (p *rig) requireSamples(t *testing.T, want map[string]string) {
	t.Helper()
	got := p.samples(t)
	for sample, value := range want {
		if got[sample] != value {
			t.Errorf("%s: got %q, want %q", sample, got[sample], value)
		}
	}
}

// counterValue gives the value of a counter by name and labels.
func (p *rig) counterValue(t *testing.T, sample string) int {
	t.Helper()
	value, err := strconv.Atoi(parseSamples(t, p.watch.meter.Text(metrics.Snapshot{}))[sample])
	if err != nil {
		t.Fatalf("%s: %v", sample, err)
	}
	return value
}

// canaryAnswers counts the answers of the canary with a reason.
func (p *rig) canaryAnswers(t *testing.T, reason decision.Reason) int {
	t.Helper()
	return p.counterValue(t, fmt.Sprintf(`meshpass_edge_canary_answers_total{reason="%s"}`, reason))
}

// Every reason is there from the start, once, with the decision that it means.
func TestEveryReasonStartsAtZero(t *testing.T) {
	want := map[string]string{}
	for _, reason := range decision.Reasons() {
		for _, family := range []string{"meshpass_edge_decisions_total", "meshpass_edge_shadow_decisions_total"} {
			want[fmt.Sprintf(`%s{decision="%s",reason="%s"}`, family, decision.Decision{Reason: reason}, reason)] = "0"
		}
	}
	for _, reason := range []string{"issued", "not_configured", "no_signing_key", "mint_failed", "panic"} {
		want[fmt.Sprintf(`meshpass_edge_canary_answers_total{reason="%s"}`, reason)] = "0"
	}
	startRig(t).requireSamples(t, want)
}

func TestRequestsAreCounted(t *testing.T) {
	p := startRig(t)
	for _, c := range []*call{keyCall(), jwtCall(), withoutSession(keyCall())} {
		p.callSignAndGuard(c.request())
	}
	p.requireSamples(t, map[string]string{
		`meshpass_edge_decisions_total{decision="allow",reason="issued"}`:           "2",
		`meshpass_edge_decisions_total{decision="deny",reason="no_session"}`:        "1",
		`meshpass_edge_hook_duration_seconds_count{hook="SignIdentity"}`:            "3",
		`meshpass_edge_hook_duration_seconds_count{hook="GuardUpstream"}`:           "2",
		`meshpass_edge_hook_duration_seconds_bucket{hook="SignIdentity",le="+Inf"}`: "3",
		`meshpass_audit_write_failures_total`:                                       "0",
		`meshpass_edge_ready`:                                                       "1",
	})
}

func withoutSession(c *call) *call {
	c.session = nil
	return c
}

func TestKeyTimes(t *testing.T) {
	p := startRig(t)
	dir, now := p.dir+"/rotated", time.Now().Truncate(time.Second)
	old := newKey(t, dir, now.Add(-time.Hour), now.Add(time.Hour))
	next := newKey(t, dir, now.Add(time.Minute), now.Add(2*time.Hour))
	replaceIn(t, p, p.dir+"/keys", dir)
	p.checkOnce()
	seconds := func(at time.Time) string { return fmt.Sprint(float64(at.Unix())) }
	p.requireSamples(t, map[string]string{
		`meshpass_edge_key_current{kid="` + old + `",algorithm="ES256"}`:     "1",
		`meshpass_edge_key_current{kid="` + next + `",algorithm="ES256"}`:    "0",
		`meshpass_edge_key_sign_from_timestamp_seconds{kid="` + old + `"}`:   seconds(now.Add(-time.Hour)),
		`meshpass_edge_key_sign_until_timestamp_seconds{kid="` + next + `"}`: seconds(now.Add(2 * time.Hour)),
	})
}

// A rejected change is shown at its source, until the source is fixed.
func TestSources(t *testing.T) {
	p := startRig(t)
	good := replaceIn(t, p)
	steps := []struct {
		name     string
		change   func()
		refused  source // "": none
		failures map[source]string
	}{
		{"at the start", func() {}, "", map[source]string{"config": "0", "secret": "0", "keys": "0"}},
		{"broken configuration", func() { p.writeFile(t, "meshpass.yaml", "issuer: [") }, "config", map[source]string{"config": "1"}},
		{"fixed", func() { p.writeFile(t, "meshpass.yaml", good) }, "", map[source]string{"config": "1"}},
		{"short secret", func() { p.writeFile(t, "secret", "short") }, "secret", map[source]string{"secret": "1", "config": "1"}},
		{"keys as well", func() {
			truncateKeys(t, p.dir+"/keys")
			p.writeFile(t, "secret", strings.Repeat("t", identity.MinPseudonymKeyBytes))
		}, "keys", map[source]string{"keys": "1"}},
	}
	generation := p.watch.signer.Load().config.Generation
	for _, step := range steps {
		step.change()
		for range 3 {
			p.checkOnce()
		}
		want := map[string]string{`meshpass_edge_config_info{generation="` + generation + `"}`: "1", "meshpass_edge_ready": "1"}
		for _, s := range sources {
			value := "1"
			if s == step.refused {
				value = "0"
			}
			want[fmt.Sprintf(`meshpass_reload_current{source="%s"}`, s)] = value
		}
		for s, value := range step.failures {
			want[fmt.Sprintf(`meshpass_reload_failures_total{source="%s"}`, s)] = value
		}
		t.Run(step.name, func(t *testing.T) { p.requireSamples(t, want) })
	}
}

// The metrics show that no source was ever loaded.
func TestScrapeWithoutConfiguration(t *testing.T) {
	p := startRig(t)
	p.writeFile(t, "secret", "short")
	p.restart(t)
	p.requireSamples(t, map[string]string{
		"meshpass_edge_ready":                                             "0",
		`meshpass_reload_current{source="config"}`:                        "0",
		`meshpass_reload_current{source="secret"}`:                        "0",
		`meshpass_reload_failures_total{source="secret"}`:                 "1",
		`meshpass_reload_last_success_timestamp_seconds{source="secret"}`: "0",
	})
}
