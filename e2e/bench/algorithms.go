package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// requestHops are how many hops verify the token of one request.
var requestHops = []int{2, 5}

// algorithmRig has a minter and a verifier of each algorithm. Nothing is remembered, and no server takes part.
type algorithmRig struct {
	minters   map[string]*token.Minter
	verifiers map[string]*token.Verifier
	values    map[string]float64 // of this round
	round     int
}

// newAlgorithmGroup compares the algorithms: the bare signatures, whole tokens, and what a request of several hops costs, which is one
// signature and a verification at each hop.
func newAlgorithmGroup() Group {
	rig := &algorithmRig{}
	var rows, requests []Row
	for _, algorithm := range keyset.Algorithms() {
		name := strings.ToLower(algorithm)
		rows = append(rows,
			Row{Name: name + "-bare-sign", Unit: cpuMicros, Measure: rig.measureSteps(algorithm, bareSign, "", 0)},
			Row{Name: name + "-bare-verify", Unit: cpuMicros, Measure: rig.measureSteps(algorithm, "", bareVerify, 1)},
			Row{Name: name + "-mint", Unit: cpuMicros, Measure: rig.measureSteps(algorithm, mint, "", 0), Base: []string{name + "-bare-sign"}},
			Row{Name: name + "-verify", Unit: cpuMicros, Measure: rig.measureSteps(algorithm, "", verify, 1), Base: []string{name + "-bare-verify"}},
		)
		for _, hops := range requestHops {
			bare := Row{Name: fmt.Sprintf("%s-bare-%d-hops", name, hops), Unit: cpuMicros, Measure: rig.measureSteps(algorithm, bareSign, bareVerify, hops)}
			whole := Row{Name: fmt.Sprintf("%s-%d-hops", name, hops), Unit: cpuMicros, Measure: rig.measureSteps(algorithm, mint, verify, hops)}
			if algorithm != keyset.ES256 {
				bare.Base, whole.Base = []string{fmt.Sprintf("es256-bare-%d-hops", hops)}, []string{fmt.Sprintf("es256-%d-hops", hops)}
			}
			requests = append(requests, bare, whole)
		}
	}
	return Group{Name: "algorithm", Start: rig.start, Rows: append(rows, requests...)}
}

// The steps that are measured.
const (
	bareSign   = "bare-sign"
	bareVerify = "bare-verify"
	mint       = "mint"
	verify     = "verify"
)

func (a *algorithmRig) start(context.Context, Round) (end func() error, err error) {
	dir, err := os.MkdirTemp("", "meshpass-bench-")
	if err != nil {
		return nil, err
	}
	*a = algorithmRig{minters: map[string]*token.Minter{}, verifiers: map[string]*token.Verifier{}, round: -1}
	end = func() error { return os.RemoveAll(dir) }
	for _, algorithm := range keyset.Algorithms() {
		keys, err := makeKeys(filepath.Join(dir, algorithm), algorithm)
		if err != nil {
			return end, err
		}
		a.minters[algorithm], err = token.NewMinter(token.MinterConfig{
			Issuer: "https://tyk.bench.meshpass.dev", Audience: audience, Lifetime: token.MaxLifetime, MinRemaining: 5 * time.Second, Keys: keys,
		})
		if err != nil {
			return end, err
		}
		a.verifiers[algorithm], err = token.NewVerifier([]token.Trust{{
			Issuer: "https://tyk.bench.meshpass.dev", Audience: audience, Algorithms: keyset.Algorithms(), Keys: keyset.PublicKeysOf(keys.Keys()[0]),
			MaxLifetime: token.MaxLifetime, Subjects: token.Any[string](), Requesters: token.Any[identity.Workload](),
		}}, identity.TrustDomains{}, token.Options{})
		if err != nil {
			return end, err
		}
	}
	return end, nil
}

// measureSteps returns the processor time of one first step and several second steps. Either may be empty. Each step is measured once
// in a round.
func (a *algorithmRig) measureSteps(algorithm, first, second string, count int) func(context.Context, Round) (float64, error) {
	return func(_ context.Context, r Round) (sum float64, err error) {
		if a.round != r.Number {
			a.round, a.values = r.Number, map[string]float64{}
		}
		for step, times := range map[string]int{first: 1, second: count} {
			if step == "" {
				continue
			}
			value, known := a.values[algorithm+step]
			if !known {
				if value, err = a.measureStep(algorithm, step, r.Length/4); err != nil {
					return 0, err
				}
				a.values[algorithm+step] = value
			}
			sum += float64(times) * value
		}
		return sum, nil
	}
}

func (a *algorithmRig) measureStep(algorithm, step string, length time.Duration) (float64, error) {
	id := newIdentity(1)
	id.Txn = token.NewTxn()
	switch step {
	case bareSign:
		return measureBareSignature(algorithm, length)
	case bareVerify:
		return measureBareVerification(algorithm, length)
	case mint:
		return measureThread(length, func() error { _, err := a.minters[algorithm].MintToken(id, token.MaxLifetime); return err })
	}
	raw, err := a.minters[algorithm].MintToken(id, token.MaxLifetime)
	if err != nil {
		return 0, err
	}
	return measureThread(length, func() error { _, err := a.verifiers[algorithm].Verify(raw); return err })
}
