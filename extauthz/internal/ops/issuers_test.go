package ops_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/ops"
)

func (p *process) keys(issuer string) ([]byte, bool) {
	text, known := p.published[issuer]
	if text == "" {
		return nil, known
	}
	return []byte(text), known
}

func TestIssuersAreShown(t *testing.T) {
	p := newProcess(t)
	p.issuers = []ops.Issuer{
		{Name: "https://file", Keys: 2},
		{Name: "https://never", Remote: true, Err: errors.New("status 500"), Unreachable: 3},
		{Name: "https://good", Remote: true, Keys: 1, Skipped: 2, Fetched: noon, Until: noon.Add(time.Hour)},
		{Name: "https://old", Remote: true, Fetched: noon, Until: noon.Add(time.Hour), Err: errors.New("no keys"), Refused: 4},
	}
	_, ready := p.get(t, "/readyz")
	_, metrics := p.get(t, "/metrics")
	for _, want := range []string{
		"issuer https://file: 2 keys\n",
		"issuer https://never: no keys, never fetched; the last attempt failed:\n  status 500\n",
		"issuer https://good: 1 key (and 2 of an unknown kind), fetched 2026-06-01T12:00:00Z, good until 2026-06-01T13:00:00Z\n",
		"issuer https://old: no keys that may be used, fetched 2026-06-01T12:00:00Z, good until 2026-06-01T13:00:00Z; the last attempt failed:\n  no keys\n",
	} {
		if !strings.Contains(ready, want) {
			t.Errorf("readyz: no %s in\n%s", want, ready)
		}
	}
	for _, want := range []string{
		`meshpass_jwks_keys{issuer="https://file"} 2`,
		`meshpass_jwks_keys{issuer="https://old"} 0`,
		`meshpass_jwks_keys_skipped{issuer="https://file"} 0`,
		`meshpass_jwks_keys_skipped{issuer="https://good"} 2`,
		`meshpass_jwks_last_success_timestamp_seconds{issuer="https://never"} 0`,
		`meshpass_jwks_last_success_timestamp_seconds{issuer="https://good"} 1.7803152e+09`,
		`meshpass_jwks_expiry_timestamp_seconds{issuer="https://good"} 1.7803188e+09`,
		`meshpass_jwks_expiry_timestamp_seconds{issuer="https://never"} 0`,
		`meshpass_jwks_fetch_failures_total{cause="unreachable",issuer="https://never"} 3`,
		`meshpass_jwks_fetch_failures_total{cause="refused",issuer="https://old"} 4`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("metrics: no %s", want)
		}
	}
	if strings.Contains(metrics, `meshpass_jwks_last_success_timestamp_seconds{issuer="https://file"}`) {
		t.Error("a file is not fetched")
	}
}

func TestPublishedKeySets(t *testing.T) {
	p := newProcess(t)
	const path = "/.well-known/jwks.json"
	p.published = map[string]string{"": `{"keys":[1,2]}`, "https://a": `{"keys":[1]}`, "https://away": ""}
	for _, row := range []struct {
		query  string
		status int
		body   string
	}{
		{"", 200, `{"keys":[1,2]}`},
		{"?issuer=https://a", 200, `{"keys":[1]}`},
		{"?issuer=https://away", 503, "there are no keys now\n"},
		{"?issuer=https://b", 404, "no key set is published here: see publish in the trust entries\n"},
	} {
		if status, body := p.get(t, path+row.query); status != row.status || body != row.body {
			t.Errorf("%q: got %d, %s", row.query, status, body)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{200, 304} {
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want || answer.Header.Get("cache-control") != "public, max-age=60" {
			t.Errorf("got %d with %v, want %d", answer.StatusCode, answer.Header, want)
		}
		request.Header.Set("if-none-match", answer.Header.Get("etag"))
	}
	p.published[""] = `{"keys":[3]}`
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("another set: got %d", answer.StatusCode)
	}
}
