package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Rotation is what a rotation is asked for: the next key is as KeyRequest says.
type Rotation struct {
	KeyRequest
	Every       time.Duration // a key signs that long before the next one does; zero: make the next one now
	Immediately bool          // the next key signs at once: the signing one leaked, or there is none
	Leaked      []string      // kids that must neither sign nor be believed any more
}

func (r Rotation) checkTimes() error {
	switch {
	case r.Lead < time.Second || r.Lifetime < time.Second || r.retentionAfterSigning() <= 0:
		return errors.New("lead and lifetimes must be 1s or more")
	case r.Every != 0 && r.Every < r.Lead:
		return fmt.Errorf("every %v: want the lead, %v, or more: only one key waits at a time", r.Every, r.Lead)
	case r.Lifetime < r.Every+r.Lead:
		return fmt.Errorf("lifetime of a key %v: want every and lead together, %v, or more: nothing would sign before the next key does", r.Lifetime, r.Every+r.Lead)
	case len(r.Leaked) > 0 && !r.Immediately:
		return errors.New("a leaked key is replaced at once, and never on time")
	}
	return nil
}

// Apply gives the files of a key directory as they should be, and what that
// changes. published is the key set that verifiers get now, empty if that is not
// known. It is a function of these and the clock, but for the new key itself.
func (r Rotation) Apply(before keyset.Files, published []byte) (keyset.Files, Report, error) {
	if err := r.checkTimes(); err != nil {
		return nil, Report{}, err
	}
	set, err := r.parseKeys(before)
	if err != nil {
		return nil, Report{}, err
	}
	if err := r.requireAllowed(set); err != nil {
		return nil, Report{}, err
	}
	t := newRotationState(r, set)
	t.restartLead(published)
	files, err := t.nextFiles(before)
	if err != nil {
		return nil, Report{}, err
	}
	after, err := files.SigningKeys()
	if err != nil {
		return nil, Report{}, fmt.Errorf("%s: %w", r.Dir, err)
	}
	return files, t.buildReport(after), nil
}

// requireAllowed refuses a slip that would cost a good key, or pass for a repair.
func (r Rotation) requireAllowed(set *keyset.SigningKeys) error {
	ids := make([]string, 0, len(set.Keys()))
	for _, key := range set.Keys() {
		ids = append(ids, key.ID())
	}
	for _, kid := range r.Leaked {
		if !slices.Contains(ids, kid) {
			return fmt.Errorf("%w: %s has no key %s (gone already?); it has %s", ErrNotDone, r.Dir, kid, strings.Join(ids, ", "))
		}
	}
	if current, err := set.Current(r.Now); r.Immediately && err == nil && len(r.Leaked) == 0 {
		return fmt.Errorf("%w: name the key that leaked with --kid; %s signs now", ErrNotDone, current.ID())
	}
	return nil
}

// rotationState is one rotation as it is worked out.
type rotationState struct {
	Rotation
	plans         map[string]keyset.Plan // of the keys that stay
	dropped       []string
	current       string // the key that signs; empty: none
	waiting       string // the key that signs next, of those that stay; empty: none
	waitingLeaked bool   // the key that waited is among the leaked
	made          string
	replanned     bool // the key that waits has other times now
	notes         []string
}

func newRotationState(r Rotation, set *keyset.SigningKeys) *rotationState {
	t := &rotationState{Rotation: r, plans: map[string]keyset.Plan{}}
	for _, key := range set.Keys() { // the newest first
		plan, leaked := key.Plan(), slices.Contains(r.Leaked, key.ID())
		waits := plan.SignFrom.After(r.Now)
		switch {
		case leaked || set.StateOf(key, r.Now) == keyset.StateRemoved:
			t.dropped = append(t.dropped, key.ID())
			t.waitingLeaked = t.waitingLeaked || waits
			continue
		case waits:
			t.waiting = key.ID()
		case t.current == "" && plan.MaySignAt(r.Now):
			t.current = key.ID()
		}
		t.plans[key.ID()] = plan
	}
	return t
}

// nextFiles makes the next key if its time has come.
func (t *rotationState) nextFiles(before keyset.Files) (keyset.Files, error) {
	switch {
	case t.current == "" && t.waiting != "" && t.Immediately:
		t.promoteWaiting()
	case t.waiting != "":
		t.addNote("%s waits for its turn already", t.waiting)
	case t.current == "" || t.isNextKeyDue():
		return t.addNextKey(before)
	}
	return t.replanFiles(before)
}

func (t *rotationState) replanFiles(before keyset.Files) (keyset.Files, error) {
	if len(t.dropped) == 0 && !t.replanned {
		return before, nil
	}
	return before.WithPlans(t.plans)
}

// promoteWaiting lets the waiting key sign now: part of the verifiers know it already.
func (t *rotationState) promoteWaiting() {
	plan, now := t.plans[t.waiting], t.Now.UTC().Truncate(time.Second)
	if plan.PublishAt.After(now) {
		plan.PublishAt = now
	}
	plan.SignFrom = now
	t.plans[t.waiting], t.replanned = plan, true
}

func (t *rotationState) isNextKeyDue() bool {
	if t.Immediately { // the signing key is sound: only a successor that leaked is made anew
		return t.waitingLeaked
	}
	signs := t.plans[t.current]
	when := signs.SignFrom.Add(t.Every)
	if signs.SignUntil.Before(when) {
		when = signs.SignUntil
	}
	when = when.Add(-t.Lead) // it is published that much earlier
	if t.Every == 0 || !when.After(t.Now) {
		return true
	}
	t.addNote("the next key is due at %s", formatTime(when))
	return false
}

// addNextKey adds the next key; the one that signs does so until then, whatever its
// times were: there is neither a gap nor a key that outlives its use.
func (t *rotationState) addNextKey(before keyset.Files) (keyset.Files, error) {
	t.First = t.current == "" && (t.Immediately || t.First && len(t.dropped) == 0)
	plan := t.newPlan()
	if t.current != "" {
		t.plans[t.current] = t.endPlanAt(t.plans[t.current], plan.SignFrom)
	}
	files, err := before.WithPlans(t.plans)
	if err != nil {
		return nil, err
	}
	files, key, err := files.WithNewKey(t.Algorithm, plan, t.Test)
	if err != nil {
		return nil, err
	}
	t.made, t.plans[key.ID()] = key.ID(), plan
	return files, nil
}

func (t *rotationState) addNote(format string, args ...any) {
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

func (t *rotationState) buildReport(after *keyset.SigningKeys) Report {
	r := newReport(t.Dir, t.made, after, t.Now)
	r.Dropped = t.dropped
	r.Changed = r.Changed || len(t.dropped) > 0 || t.replanned
	r.Notes = append(r.Notes, t.notes...)
	if key, err := after.Current(t.Now); err == nil && (t.made == key.ID() || t.waiting == key.ID()) {
		if known := key.Plan().PublishAt.Add(t.Lead); known.After(t.Now) {
			r.Denials = &Denials{From: t.Now.UTC(), Until: known}
		}
	}
	for _, kid := range t.Leaked {
		r.addNote("tokens of %s are believed where the new set has not arrived; to end that within seconds: meshpass revoke kid --file LIST --issuer URL --for 24h %s", kid, kid)
	}
	return r
}
