package ops_test

import (
	"fmt"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

func TestMissingTokensAreCountedByWhoCalledWhom(t *testing.T) {
	p := newProcess(t)
	sidecar := p.metrics.Listener("sidecar")
	sidecar.TokenMissing("ns/shop/sa/reports", "ns/shop/sa/inventory")
	sidecar.TokenMissing("ns/shop/sa/reports", "ns/shop/sa/inventory")
	sidecar.TokenMissing("", "ns/shop/sa/inventory")
	want := `meshpass_token_missing_total{callee="ns/shop/sa/inventory",caller="",listener="sidecar"} 1
meshpass_token_missing_total{callee="ns/shop/sa/inventory",caller="ns/shop/sa/reports",listener="sidecar"} 2`
	if got := p.samples(t, "meshpass_token_missing_total"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A mesh with endless names of workloads does not make endless series.
func TestPairsBeyondTheCapAreCountedTogether(t *testing.T) {
	p := newProcess(t)
	sidecar := p.metrics.Listener("sidecar")
	for i := range 1005 {
		sidecar.TokenMissing(identity.Workload(fmt.Sprintf("spiffe://foreign/w/%d", i)), "ns/shop/sa/inventory")
	}
	sidecar.TokenMissing("spiffe://foreign/w/0", "ns/shop/sa/inventory")
	for sample, want := range map[string]string{
		`meshpass_token_missing_total{callee="other",caller="other",listener="sidecar"}`:                               "5",
		`meshpass_token_missing_total{callee="ns/shop/sa/inventory",caller="spiffe://foreign/w/0",listener="sidecar"}`: "2",
	} {
		if got := p.samples(t, sample+" "); got != sample+" "+want {
			t.Errorf("got %q, want %s %s", got, sample, want)
		}
	}
}
