package gateway_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/shared/audit"
)

// With audit.chain, the lines of the plugin in the gateway's standard output are a chain whose checkpoints are signed.
func TestTheChainOfTheGateway(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)) // a TEST KEY
	private, _, err := audit.FormatChainKey(key)
	must(t, err)
	output := ""
	r := startAudited(t, "chain: {key: chain.pem, checkpoint: 1s}", func(name string) {
		output = name
		must(t, os.WriteFile(strings.TrimSuffix(name, "audit.log")+"chain.pem", private, 0o600))
		must(t, os.WriteFile(name, nil, 0o600))
	})
	const requests = 5
	for range requests {
		if got := r.canary(t); got.claims == nil {
			t.Fatalf("got %+v: want a token", got.answer)
		}
	}
	var issued, checkpoints int
	r.awaitSamples(t, "no checkpoint covers the records", func() bool {
		issued, checkpoints = 0, 0
		text, err := os.ReadFile(output)
		must(t, err)
		next := audit.Link{Prev: audit.NoLine}
		isCovered := false
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			link, sig, isLinked := audit.ParseLink(line)
			if !isLinked {
				continue // of Tyk's own
			}
			must(t, audittest.CheckLine(line))
			if next.Chain == "" {
				next.Chain = link.Chain
			}
			if next.Seq++; link != next {
				t.Fatalf("got %+v, want %+v: %s", link, next, line)
			}
			next.Prev = audit.HashLine(line)
			if isCovered = sig != ""; isCovered {
				checkpoints++
				if !audit.VerifyCheckpoint(line, key.Public().(ed25519.PublicKey)) {
					t.Fatalf("the signature is not valid: %s", line)
				}
			}
			var record audit.Record
			must(t, json.Unmarshal(line, &record))
			if record.Kind == audit.KindIssue {
				issued++
			}
		}
		return isCovered && issued >= requests
	})
	if checkpoints < 2 {
		t.Errorf("%d checkpoints", checkpoints)
	}
}
