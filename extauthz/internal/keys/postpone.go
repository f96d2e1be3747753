package keys

import (
	"slices"
	"time"
)

// restartLead gives the key that waits a whole lead again if it is not in the published
// set, where nobody put it or somebody took it out: verifiers get to know it only now. Where nothing signs until
// its turn it stays as it is, because a token that some refuse beats none at all.
func (t *rotationState) restartLead(published []byte) {
	known, err := parseKeyIDs(published)
	if t.current == "" || t.waiting == "" || err != nil || len(known) == 0 || slices.Contains(known, t.waiting) {
		return
	}
	plan, now := t.plans[t.waiting], t.Now.UTC().Truncate(time.Second)
	if plan.PublishAt.After(now) {
		return // it is not to be there yet
	}
	plan.PublishAt = now
	if late := now.Add(t.Lead.Truncate(time.Second)).Sub(plan.SignFrom); late > 0 {
		plan.SignFrom = plan.SignFrom.Add(late)
		plan = t.endPlanAt(plan, plan.SignUntil.Add(late))
		t.plans[t.current] = t.endPlanAt(t.plans[t.current], plan.SignFrom)
	}
	t.plans[t.waiting], t.replanned = plan, true
	t.addNote("%s was not in the published set: it is published now, and signs at %s", t.waiting, formatTime(plan.SignFrom))
}
