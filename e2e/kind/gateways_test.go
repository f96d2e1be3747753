package kind

import (
	"errors"
	"testing"

	"github.com/meshpass/meshpass/e2e/kind/sender"
)

// A case is played only when all requests in a row are answered.
func TestFindUnanswered(t *testing.T) {
	ok := sender.Answer{Status: 404}
	for _, row := range []struct {
		name    string
		answers []sender.Answer
		errs    map[int]error // of requests, by their number from 0
		want    string
		wantErr string
		sent    int
	}{
		{name: "all answered", answers: []sender.Answer{ok, ok, ok}, sent: 3},
		{name: "one refused", answers: []sender.Answer{ok, {}, ok}, errs: map[int]error{1: errors.New("connection refused")}, wantErr: "request 2 of 3: connection refused", sent: 2},
		{name: "one closed", answers: []sender.Answer{{Closed: true}, ok, ok}, want: "request 1 of 3: the connection was closed", sent: 1},
		{name: "one by a sidecar without an upstream", answers: []sender.Answer{ok, ok, {Status: 503}}, want: "request 3 of 3: status 503", sent: 3},
	} {
		sent := 0
		got, err := findUnanswered(3, func() (sender.Answer, error) {
			sent++
			return row.answers[sent-1], row.errs[sent-1]
		})
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != row.want || text != row.wantErr || sent != row.sent {
			t.Errorf("%s: got %q, %q after %d requests", row.name, got, text, sent)
		}
	}
}
