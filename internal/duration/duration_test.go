package duration_test

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/duration"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "1d0.5s": 24*time.Hour + 500*time.Millisecond, "-2d": -48 * time.Hour,
		"30s": 30 * time.Second, "1h30m": 90 * time.Minute, "0": 0, "-5m": -5 * time.Minute, "106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := duration.Parse(text); err != nil || got != want {
			t.Errorf("%s: got %s, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":               `"": write a duration such as 30s, 12h or 7d`,
		"7":              `"7": write a duration such as 30s, 12h or 7d`,
		"d":              `"d": write a duration such as 30s, 12h or 7d`,
		"1.5d":           `"1.5d": write a duration such as 30s, 12h or 7d`,
		"12h1d":          `"12h1d": write a duration such as 30s, 12h or 7d`,
		"1d1d":           `"1d1d": write a duration such as 30s, 12h or 7d`,
		"1d-1h":          `"1d-1h": write a duration such as 30s, 12h or 7d`,
		"1d 1h":          `"1d 1h": write a duration such as 30s, 12h or 7d`,
		"7 d":            `"7 d": write a duration such as 30s, 12h or 7d`,
		"+1d":            `"+1d": write a duration such as 30s, 12h or 7d`,
		"week":           `"week": write a duration such as 30s, 12h or 7d`,
		"106752d":        `"106752d" is longer than 292 years: write a duration such as 30s, 12h or 7d`,
		"106751d24h":     `"106751d24h" is longer than 292 years: write a duration such as 30s, 12h or 7d`,
		"99999999999d1h": `"99999999999d1h": write a duration such as 30s, 12h or 7d`,
	} {
		if got, err := duration.Parse(text); err == nil || err.Error() != want {
			t.Errorf("%s: got %s, %v, want %s", text, got, err, want)
		}
	}
}
