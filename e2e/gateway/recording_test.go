package gateway_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const recorded = `{"enable_detailed_recording": true}`

// A detailed record is the request after the upstream has answered: with our token.
func TestDetailedRecording(t *testing.T) {
	r := start(t, setup{
		conf: `{"enable_analytics": true}`,
		apis: []definition{{"recorded-tyk", recorded, true}, {"recorded-ours", recorded, false}, {"recorded-allowed", recorded, false}},
	}).serving(t)
	for _, row := range []struct {
		id    string
		want  answer
		token string // in the record
	}{
		{"recorded-tyk", answer{200, "", theirs}, forged},
		{"recorded-ours", answer{500, "detailed_recording", unreached}, ""},
		{"recorded-allowed", answer{200, "", signed}, "eyJ"},
	} {
		t.Run(row.id, func(t *testing.T) {
			got := r.send(t, call{path: "/" + row.id + "/", as: "key"})
			if got.answer != row.want {
				t.Errorf("got %+v, want %+v", got.answer, row.want)
			}
			record := r.record(t, got.id)
			if token := tokenIn.FindStringSubmatch(record); (token == nil) != (row.token == "") || token != nil && !strings.HasPrefix(token[1], row.token) {
				t.Errorf("want a token that begins with %q in the record\n%s", row.token, record)
			}
		})
	}
}

var (
	tokenIn = regexp.MustCompile(`(?i)txn-token: *(\S+)`)
	base64s = regexp.MustCompile(`[A-Za-z0-9+/]{64,}={0,2}`) // the raw requests of a record
)

// record waits for the raw request that Tyk has recorded.
func (r *rig) record(t *testing.T, requestID string) (found string) {
	t.Helper()
	r.await(t, func(context.Context) error {
		for _, key := range r.redis.Keys() {
			if !strings.HasPrefix(key, "analytics-") {
				continue
			}
			records, err := r.redis.List(key)
			must(t, err)
			for _, raw := range base64s.FindAllString(strings.Join(records, " "), -1) {
				if data, err := base64.StdEncoding.DecodeString(raw); err == nil && strings.Contains(string(data), requestID) {
					found = string(data)
					return nil
				}
			}
		}
		return fmt.Errorf("no record of %s among %v", requestID, r.redis.Keys())
	})
	return found
}
