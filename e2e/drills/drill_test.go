// Package drills breaks a part between a caller and a decision, and compares the answer
// that the caller gets, Envoy's log and our own records with docs/failure-modes.md. Envoys
// and Istio's control plane are real. So is the authorizer, unless the drill is about
// an authorizer that misbehaves.
//
//	tyk-gateway's Envoy ══mTLS══► Envoy of orders    guarded by the closed provider
//	                    ══mTLS══► Envoy of reports   guarded by the open one, with the backstop
//
// Each drill is a row of that page, and a test compares the two. Both depend on facts about
// Envoy's filters, which TestOrder checks. The outages are repeated at a waypoint and at an ingress gateway:
// see place and TestOutagesAtOtherPlaces.
package drills

import (
	"slices"
	"testing"
)

// drill is one failure: a row of docs/failure-modes.md.
type drill struct {
	name         string
	closed, open answers  // the answers that callers get during the failure, by provider
	log          string   // Envoy's log text for a denial; empty: none
	setup        rigSetup // of its own rig
	shared       bool     // runs on the shared rig, because it leaves the rig unchanged
	run          func(*testing.T, *rig, drill)
}

// allDrills returns the drills in the order of the page's rows.
func allDrills() []drill {
	return slices.Concat(answerDrills(), lifeDrills(), meshDrills(), configDrills())
}

func TestDrills(t *testing.T) {
	t.Run("on one rig", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, rigSetup{})
		for _, d := range allDrills() {
			if d.shared {
				t.Run(d.name, func(t *testing.T) { d.run(t, r, d) })
			}
		}
	})
	for _, d := range allDrills() {
		if !d.shared {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				d.run(t, newRig(t, d.setup), d)
			})
		}
	}
}
