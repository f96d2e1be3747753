package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Rotation describes a rotation. The next key is made as the KeyRequest describes.
type Rotation struct {
	KeyRequest
	Every       time.Duration // how long a key signs before the next one signs; zero: make the next one now
	Immediately bool          // the next key signs at once: the signing key leaked, or no key signs
	Leaked      []string      // kids that must neither sign nor be trusted any more
}

func (r Rotation) checkTimes() error {
	switch {
	case r.Lead < time.Second || r.Lifetime < time.Second || r.retentionAfterSigning() <= 0:
		return errors.New("lead and lifetimes must be 1s or more")
	case r.Every != 0 && r.Every < r.Lead:
		return fmt.Errorf("every %v: want the lead, %v, or more: only one key waits at a time", r.Every, r.Lead)
	case r.Lifetime < r.Every+r.Lead:
		return fmt.Errorf("lifetime of a key %v: want every and lead together, %v, or more: otherwise no key would sign before the next one does", r.Lifetime, r.Every+r.Lead)
	case len(r.Leaked) > 0 && !r.Immediately:
		return errors.New("a leaked key is replaced at once, not when the next key is due")
	}
	return nil
}

// Apply returns the files that a key directory must have, and a report of the changes.
// published is the key set that verifiers get now; empty: it is not known. Except for
// the new key itself, the result depends only on these arguments and r.Now.
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
	r.Algorithm = r.chooseAlgorithm(set)
	s := newRotationState(r, set)
	s.restartLead(published)
	files, err := s.nextFiles(before)
	if err != nil {
		return nil, Report{}, err
	}
	after, err := files.SigningKeys()
	if err != nil {
		return nil, Report{}, fmt.Errorf("%s: %w", r.Dir, err)
	}
	return files, s.newReport(after), nil
}

// requireAllowed rejects a mistake that would remove a good key, or would look like a
// replacement of the leaked key.
func (r Rotation) requireAllowed(set *keyset.SigningKeys) error {
	ids := make([]string, 0, len(set.Keys()))
	for _, key := range set.Keys() {
		ids = append(ids, key.ID())
	}
	for _, kid := range r.Leaked {
		if !slices.Contains(ids, kid) {
			return fmt.Errorf("%w: %s has no key %s (removed already?); it has %s", ErrNotDone, r.Dir, kid, strings.Join(ids, ", "))
		}
	}
	if current, err := set.Current(r.Now); r.Immediately && err == nil && len(r.Leaked) == 0 {
		return fmt.Errorf("%w: name the key that leaked with --kid; %s signs now", ErrNotDone, current.ID())
	}
	return nil
}

// rotationState is the state of one rotation while its result is computed.
type rotationState struct {
	rotation      Rotation
	plans         map[string]keyset.Plan // of the keys that stay
	dropped       []string               // kids that leave the directory
	current       string                 // the key that signs; empty: no key does
	waiting       string                 // the key that signs next, of those that stay; empty: no key waits
	waitingLeaked bool                   // the key that waited has leaked
	made          string                 // the new key; empty: no key was made
	replanned     bool                   // the waiting key has other times now
	notes         []string
}

func newRotationState(r Rotation, set *keyset.SigningKeys) *rotationState {
	s := &rotationState{rotation: r, plans: map[string]keyset.Plan{}}
	for _, key := range set.Keys() { // the newest first
		plan, leaked := key.Plan(), slices.Contains(r.Leaked, key.ID())
		waits := plan.SignFrom.After(r.Now)
		switch {
		case leaked || set.StateOf(key, r.Now) == keyset.StateRemoved:
			s.dropped = append(s.dropped, key.ID())
			s.waitingLeaked = s.waitingLeaked || waits
			continue
		case waits:
			s.waiting = key.ID()
		case s.current == "" && plan.MaySignAt(r.Now):
			s.current = key.ID()
		}
		s.plans[key.ID()] = plan
	}
	return s
}

// restartLead gives the waiting key a whole lead again if the published set does not
// contain it, because it was never published or was removed: verifiers can learn of it
// only now. If no key signs until then, the plan stays, because a token that some
// verifiers reject is better than no token.
func (s *rotationState) restartLead(published []byte) {
	known, err := parseKeyIDs(published)
	if s.current == "" || s.waiting == "" || err != nil || len(known) == 0 || slices.Contains(known, s.waiting) {
		return
	}
	plan, now := s.plans[s.waiting], s.rotation.Now.UTC().Truncate(time.Second)
	if plan.PublishAt.After(now) {
		return // it must not be published yet
	}
	plan.PublishAt = now
	if late := now.Add(s.rotation.Lead.Truncate(time.Second)).Sub(plan.SignFrom); late > 0 {
		plan.SignFrom = plan.SignFrom.Add(late)
		plan = s.rotation.endPlanAt(plan, plan.SignUntil.Add(late))
		s.plans[s.current] = s.rotation.endPlanAt(s.plans[s.current], plan.SignFrom)
	}
	s.plans[s.waiting], s.replanned = plan, true
	s.addNote("%s was not in the published set: it is published now, and signs at %s", s.waiting, printer.FormatTime(plan.SignFrom))
}

// nextFiles makes the next key if it is due.
func (s *rotationState) nextFiles(before keyset.Files) (keyset.Files, error) {
	switch {
	case s.current == "" && s.waiting != "" && s.rotation.Immediately:
		s.promoteWaiting()
	case s.waiting != "":
		s.addNote("%s waits to sign already", s.waiting)
	case s.current == "":
		return s.addNextKey(before)
	default:
		due, note := s.isNextKeyDue()
		if due {
			return s.addNextKey(before)
		}
		if note != "" {
			s.addNote("%s", note)
		}
	}
	if len(s.dropped) == 0 && !s.replanned {
		return before, nil
	}
	return before.WithPlans(s.plans)
}

// promoteWaiting lets the waiting key sign now: some verifiers know it already.
func (s *rotationState) promoteWaiting() {
	plan, now := s.plans[s.waiting], s.rotation.Now.UTC().Truncate(time.Second)
	if plan.PublishAt.After(now) {
		plan.PublishAt = now
	}
	plan.SignFrom = now
	s.plans[s.waiting], s.replanned = plan, true
}

// isNextKeyDue reports whether the next key must be made now, and otherwise when.
func (s *rotationState) isNextKeyDue() (due bool, note string) {
	if s.rotation.Immediately { // the signing key is good: only a leaked successor is replaced
		return s.waitingLeaked, ""
	}
	current := s.plans[s.current]
	signsNext := current.SignFrom.Add(s.rotation.Every)
	if current.SignUntil.Before(signsNext) {
		signsNext = current.SignUntil
	}
	publish := signsNext.Add(-s.rotation.Lead)
	if s.rotation.Every == 0 || !publish.After(s.rotation.Now) {
		return true, ""
	}
	return false, "the next key is due at " + printer.FormatTime(publish)
}

// addNextKey adds the next key. The current key signs until the new one does: its
// former end does not count. So there is neither a gap nor a key that signs too long.
func (s *rotationState) addNextKey(before keyset.Files) (keyset.Files, error) {
	request := s.rotation.KeyRequest
	request.First = s.current == "" && (s.rotation.Immediately || request.First && len(s.dropped) == 0)
	plan := request.newPlan()
	if s.current != "" {
		s.plans[s.current] = request.endPlanAt(s.plans[s.current], plan.SignFrom)
	}
	files, err := before.WithPlans(s.plans)
	if err != nil {
		return nil, err
	}
	files, key, err := files.WithNewKey(request.Algorithm, plan, request.Test)
	if err != nil {
		return nil, err
	}
	s.made, s.plans[key.ID()] = key.ID(), plan
	return files, nil
}

func (s *rotationState) addNote(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

func (s *rotationState) newReport(after *keyset.SigningKeys) Report {
	now := s.rotation.Now
	r := newReport(s.rotation.Dir, s.made, after, now)
	r.Dropped = s.dropped
	r.Changed = r.Changed || len(s.dropped) > 0 || s.replanned
	r.Notes = append(r.Notes, s.notes...)
	if key, err := after.Current(now); err == nil && (s.made == key.ID() || s.waiting == key.ID()) {
		if known := key.Plan().PublishAt.Add(s.rotation.Lead); known.After(now) {
			r.Denials = &Denials{From: now.UTC(), Until: known}
		}
	}
	for _, kid := range s.rotation.Leaked {
		r.addNote("authorizers without the new set still accept tokens of %s; to revoke them within seconds: meshpass revoke kid --file LIST --issuer URL --for 24h %s", kid, kid)
	}
	return r
}
