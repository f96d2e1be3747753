package keys

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Report is what a command found and did, and what will happen. As JSON it is
// what `-o json` prints.
type Report struct {
	Place    string   `json:"in"` // the key directory, or the Secret
	Changed  bool     `json:"changed"`
	Made     string   `json:"made,omitempty"`    // kid of a new key
	Dropped  []string `json:"dropped,omitempty"` // kids that left keys.yaml: their time was over, or they leaked
	Out      string   `json:"out,omitempty"`     // the key set's file, or its ConfigMap
	Added    []string `json:"added,omitempty"`   // kids that the key set gained
	Removed  []string `json:"removed,omitempty"` // and lost
	Denials  *Denials `json:"denials,omitempty"`
	Keys     []Key    `json:"keys"` // the newest first
	Next     []Event  `json:"next"`
	Problems []string `json:"problems,omitempty"` // only status looks for them
	Notes    []string `json:"notes,omitempty"`
}

// Denials is the time in which a key signs that verifiers may not know yet.
type Denials struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"` // at the latest
}

// Key is one key at the time of the report.
type Key struct {
	ID          string       `json:"kid"`
	Algorithm   string       `json:"algorithm"`
	State       keyset.State `json:"state"`
	PublishAt   time.Time    `json:"publishAt"`
	SignFrom    time.Time    `json:"signFrom"`
	SignUntil   time.Time    `json:"signUntil"`
	RemoveAfter time.Time    `json:"removeAfter"`
}

// Event is something that the clock will do to a key.
type Event struct {
	At   time.Time `json:"at"`
	Key  string    `json:"kid"`
	What string    `json:"what"`
}

func newReport(in, made string, set *keyset.SigningKeys, now time.Time) Report {
	r := Report{Place: in, Changed: made != "", Made: made, Keys: []Key{}, Next: []Event{}}
	for _, key := range set.Keys() {
		p := key.Plan()
		r.Keys = append(r.Keys, Key{key.ID(), key.Algorithm(), set.StateOf(key, now), p.PublishAt, p.SignFrom, p.SignUntil, p.RemoveAfter})
		r.addEvent(now, p.PublishAt, key, "is to be published")
		r.addEvent(now, p.SignFrom, key, "signs, and no older key does")
		r.addEvent(now, p.SignUntil, key, "signs no more")
		r.addEvent(now, p.RemoveAfter, key, "leaves the published set")
	}
	slices.SortStableFunc(r.Next, func(a, b Event) int { return a.At.Compare(b.At) })
	r.noteSigningGaps(set, now)
	return r
}

func (r *Report) addEvent(now, when time.Time, key *keyset.SigningKey, what string) {
	if when.After(now) {
		r.Next = append(r.Next, Event{At: when.UTC(), Key: key.ID(), What: what})
	}
}

// noteSigningGaps tells when nothing signs: gateways then refuse every request.
func (r *Report) noteSigningGaps(set *keyset.SigningKeys, now time.Time) {
	end, next := set.NextGap(now)
	signing := end.After(now)
	switch {
	case !signing && next.IsZero():
		r.addNote("no key signs, and none will: gateways refuse every request with 503 no_signing_key; run meshpass keys new")
	case !signing:
		r.addNote("no key signs before %s: until then gateways refuse every request with 503 no_signing_key", formatTime(next))
	case next.IsZero():
		r.addNote("after %s no key signs: make the next one at least its lead before that", formatTime(end))
	default:
		r.addNote("from %s to %s no key signs: gateways will refuse every request with 503 no_signing_key", formatTime(end), formatTime(next))
	}
}

func (r *Report) addNote(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}
