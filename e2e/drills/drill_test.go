package drills

import (
	"slices"
	"testing"
)

// drill is one failure: a row of docs/failure-modes.md.
type drill struct {
	name         string
	closed, open answers // what callers see while it lasts, by provider
	log          string  // what an Envoy logs of a refusal, if anything
	setup        setup   // of a rig of its own
	shared       bool    // needs none, since it leaves the rig as it was
	run          func(*testing.T, *rig, drill)
}

// all drills, in the order of the page's rows.
func all() []drill {
	return slices.Concat(answerDrills(), lifeDrills(), meshDrills(), configDrills())
}

func TestDrills(t *testing.T) {
	t.Run("on one rig", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, setup{})
		for _, d := range all() {
			if d.shared {
				t.Run(d.name, func(t *testing.T) { d.run(t, r, d) })
			}
		}
	})
	for _, d := range all() {
		if !d.shared {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				d.run(t, newRig(t, d.setup), d)
			})
		}
	}
}
