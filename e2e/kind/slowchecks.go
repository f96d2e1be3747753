package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
)

const (
	// maxSlowChecks is how many requests of a load may be denied because a Check took longer than Envoy waits. Pods that start take the
	// CPU of a small machine. A drain that does not work denies every request for seconds, which is dozens.
	maxSlowChecks   = 3
	providerTimeout = 250 * time.Millisecond // of the providers in manifests/istio/install.yaml
)

// guardedProxies write a line for each request that they denied.
var guardedProxies = source{"shop", "app in (inventory,orders)", "istio-proxy"}

// describeLostInChange is [describeLost] for a load during a change that began at that time. It accepts a few requests whose Check took
// longer than Envoy waits, if the access log has as many: a connection that is refused or reset ends much earlier.
func (e *Environment) describeLostInChange(ctx context.Context, t sender.Tally, began time.Time) ([]string, error) {
	problems := describeLost(t)
	if lost := t.Lost(); lost == 0 || lost > maxSlowChecks {
		return problems, nil
	}
	slow := 0
	err := e.waitFor(ctx, "the access log of denied requests", accessLogBound, func(ctx context.Context) (string, error) {
		out, err := e.readLogs(ctx, guardedProxies)
		if slow = countSlowChecks(out, began); err != nil || slow >= t.Lost() {
			return "", err
		}
		return fmt.Sprintf("%d of %d lost requests have a line of a Check that took %v", slow, t.Lost(), providerTimeout), nil
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return append(problems, err.Error()), nil
	}
	e.out.printLine("   %d of %d requests were denied because this machine took more than %v for a Check (%d in the access log)", t.Lost(), t.Sent(), providerTimeout, slow)
	return nil, nil
}

// countSlowChecks counts the lines of an access log about requests since that time that were denied after the provider's timeout.
func countSlowChecks(log []byte, began time.Time) int {
	count := 0
	for text := range bytes.Lines(log) {
		_, text, _ := bytes.Cut(text, []byte("] ")) // the prefix of the pod
		var line struct {
			Start    time.Time `json:"start_time"`
			Flags    string    `json:"response_flags"`
			Details  string    `json:"response_code_details"`
			Duration float64   `json:"duration"` // milliseconds
		}
		if json.Unmarshal(text, &line) != nil || line.Start.Before(began) {
			continue
		}
		if strings.Contains(line.Flags, "UAEX") && line.Details == "ext_authz_error" && line.Duration >= float64(providerTimeout.Milliseconds()) {
			count++
		}
	}
	return count
}
