package keys

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Report is what a command found and did, and what will happen. As JSON it is
// what `-o json` prints.
type Report struct {
	Dir     string   `json:"dir"`
	Changed bool     `json:"changed"`
	Made    string   `json:"made,omitempty"`    // kid of a new key
	Out     string   `json:"out,omitempty"`     // the key set's file
	Added   []string `json:"added,omitempty"`   // kids that the key set gained
	Removed []string `json:"removed,omitempty"` // and lost
	Keys    []Key    `json:"keys"`              // of the directory; the newest first
	Next    []Event  `json:"next"`
	Notes   []string `json:"notes,omitempty"`
}

// Key is one key of the directory at the time of the report.
type Key struct {
	ID        string `json:"kid"`
	Algorithm string `json:"algorithm"`
	Signs     bool   `json:"signs"` // it is the one that signs
	Published bool   `json:"published"`
}

// Event is something that the clock will do to a key.
type Event struct {
	At   time.Time `json:"at"`
	Key  string    `json:"kid"`
	What string    `json:"what"`
}

func report(dir, made string, keys []*keyset.Key, now time.Time) Report {
	r := Report{Dir: dir, Changed: made != "", Made: made, Keys: []Key{}, Next: []Event{}}
	signing := false
	for _, key := range keys { // the newest first, as the gateway chooses
		p := key.Plan()
		signs := !signing && p.Signs(now)
		signing = signing || signs
		r.Keys = append(r.Keys, Key{ID: key.ID(), Algorithm: key.Algorithm(), Signs: signs, Published: p.Published(now)})
		r.expect(now, p.PublishAt, key, "is to be published")
		r.expect(now, p.SignFrom, key, "signs, and no older key does")
		r.expect(now, p.SignUntil, key, "signs no more")
		r.expect(now, p.RemoveAfter, key, "leaves the published set")
	}
	slices.SortStableFunc(r.Next, func(a, b Event) int { return a.At.Compare(b.At) })
	r.noteGaps(keys, now, signing)
	return r
}

func (r *Report) expect(now, when time.Time, key *keyset.Key, what string) {
	if when.After(now) {
		r.Next = append(r.Next, Event{At: when.UTC(), Key: key.ID(), What: what})
	}
}

// noteGaps tells when nothing signs: gateways then refuse every request.
func (r *Report) noteGaps(keys []*keyset.Key, now time.Time, signing bool) {
	end := now // until here something signs without a gap
	for _, key := range slices.Backward(keys) {
		if p := key.Plan(); !p.SignFrom.After(end) && p.SignUntil.After(end) {
			end = p.SignUntil
		}
	}
	next := time.Time{}
	for _, key := range keys {
		if from := key.Plan().SignFrom; from.After(end) && (next.IsZero() || from.Before(next)) {
			next = from
		}
	}
	switch {
	case !signing && next.IsZero():
		r.note("no key signs, and none will: gateways refuse every request with 503 no_signing_key; run meshpass keys new")
	case !signing:
		r.note("no key signs before %s: until then gateways refuse every request with 503 no_signing_key", at(next))
	case next.IsZero():
		r.note("after %s no key signs: make the next one at least its lead before that", at(end))
	default:
		r.note("from %s to %s no key signs: gateways will refuse every request with 503 no_signing_key", at(end), at(next))
	}
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Print writes the report for people.
func (r Report) Print(w io.Writer) {
	switch {
	case r.Made != "":
		fmt.Fprintf(w, "made key %s in %s; only its owner may read it\n", r.Made, r.Dir)
	case r.Out != "" && r.Changed:
		fmt.Fprintf(w, "wrote %s\n", r.Out)
	case r.Out != "":
		fmt.Fprintf(w, "nothing to do: %s holds what is to be published\n", r.Out)
	default:
		fmt.Fprintf(w, "nothing to do: %s has such a key already\n", r.Dir)
	}
	printList(w, "added:   ", r.Added)
	printList(w, "removed: ", r.Removed)
	for _, key := range r.Keys {
		if key.Signs {
			fmt.Fprintf(w, "now:     %s (%s) signs\n", key.ID, key.Algorithm)
		}
	}
	for _, e := range r.Next {
		fmt.Fprintf(w, "%s  %s %s\n", at(e.At), e.Key, e.What)
	}
	printList(w, "note:    ", r.Notes)
}

func printList(w io.Writer, label string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(w, "%s%s\n", label, line)
	}
}

func at(t time.Time) string { return t.UTC().Format(time.RFC3339) }
