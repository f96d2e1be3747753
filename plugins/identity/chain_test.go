package main

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/audit"
)

// writeChainKey writes the TEST KEY of a seed, and returns its public half.
func writeChainKey(t *testing.T, p *rig, seed byte) ed25519.PublicKey {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	private, _, err := audit.FormatChainKey(key)
	requireNoError(t, err)
	p.writeFile(t, "chain.pem", string(private))
	return key.Public().(ed25519.PublicKey)
}

// requireChain checks that all lines since the last call continue one chain, and that each checkpoint is signed by a key. It counts
// the lines.
func requireChain(t *testing.T, p *rig, last *audit.Link, key ed25519.PublicKey) (records, checkpoints int) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSuffix(p.audit.TakeRecords(), "\n"), "\n") {
		link, sig, isLinked := audit.ParseLink([]byte(line))
		if !isLinked || link.Seq != last.Seq+1 || link.Prev != last.Prev || last.Seq > 0 && link.Chain != last.Chain {
			t.Fatalf("after %+v: %s", *last, line)
		}
		*last = link
		last.Prev = audit.HashLine([]byte(line))
		if sig == "" {
			records++
		} else if checkpoints++; !audit.VerifyCheckpoint([]byte(line), key) {
			t.Fatalf("signed by another key: %s", line)
		}
	}
	return records, checkpoints
}

// The key of the chain is followed as other files are. A key that cannot be used is rejected, and the one before signs on.
func TestTheKeyOfTheChainIsFollowed(t *testing.T) {
	p := startRig(t)
	p.audit.TakeRecords()
	first := writeChainKey(t, p, 1)
	replaceIn(t, p, "audit: {output: stderr}", "audit: {output: stderr, chain: {key: chain.pem, checkpoint: 1h}}")
	p.checkOnce()
	p.issueToken(t)
	last := &audit.Link{Prev: audit.NoLine}
	if records, checkpoints := requireChain(t, p, last, first); records != 1 || checkpoints != 1 {
		t.Errorf("%d records and %d checkpoints", records, checkpoints)
	}
	p.requireSamples(t, map[string]string{"meshpass_audit_chain_checkpoint_seconds": "3600", "meshpass_audit_chain_checkpoint_failures_total": "0"})
	for name, change := range map[string]func(){
		"half a key":            func() { p.writeFile(t, "chain.pem", "-----BEGIN PRIVATE KEY-----\nMC4CAQ") },
		"no file":               func() { removeFile(t, p, "chain.pem") },
		"a file for all people": func() { requireNoError(t, os.Chmod(filepath.Join(p.dir, "chain.pem"), 0o644)) },
	} {
		writeChainKey(t, p, 1)
		p.checkOnce()
		p.requireSamples(t, map[string]string{`meshpass_reload_current{source="chain_key"}`: "1"})
		change()
		p.checkOnce()
		for _, s := range []source{chainKeySource, configSource, secretSource, keysSource} {
			want := map[bool]string{true: "0", false: "1"}[s == chainKeySource]
			p.requireSamples(t, map[string]string{`meshpass_reload_current{source="` + string(s) + `"}`: want})
		}
		p.issueToken(t)
		if records, _ := requireChain(t, p, last, first); records != 1 {
			t.Errorf("%s: %d records", name, records)
		}
		if strings.Contains(p.log.String(), "MC4CAQ") {
			t.Errorf("%s: the log has a part of the key: %s", name, &p.log)
		}
		removeFile(t, p, "chain.pem")
	}
	second := writeChainKey(t, p, 2)
	p.checkOnce()
	p.requireSamples(t, map[string]string{`meshpass_reload_current{source="chain_key"}`: "1"})
	p.issueToken(t)
	if records, checkpoints := requireChain(t, p, last, second); records != 1 || checkpoints == 0 {
		t.Errorf("%d records and %d checkpoints", records, checkpoints)
	}
	replaceIn(t, p, ", chain: {key: chain.pem, checkpoint: 1h}", "")
	p.checkOnce()
	p.issueToken(t)
	lines := strings.Split(p.audit.TakeRecords(), "\n")
	if link, _, _ := audit.ParseLink([]byte(lines[0])); link.Seq != last.Seq+1 || !strings.Contains(lines[0], `"end":true`) || !audit.VerifyCheckpoint([]byte(lines[0]), second) {
		t.Errorf("the chain has no end: %q", lines)
	}
	if text := string(p.watch.metricsText()); strings.Contains(text, "meshpass_audit_chain_") {
		t.Errorf("there are metrics of a chain that has ended: %s", text)
	}
	if _, _, isLinked := audit.ParseLink([]byte(lines[1])); isLinked {
		t.Errorf("a record after the end is in the chain: %q", lines)
	}
}
