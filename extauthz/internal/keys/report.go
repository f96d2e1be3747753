package keys

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Report describes what a command found and did, and what will happen. It is the output
// of `-o json`.
type Report struct {
	Place    string   `json:"in"` // the key directory, or the Secret
	Changed  bool     `json:"changed"`
	Made     string   `json:"made,omitempty"`    // kid of a new key
	Dropped  []string `json:"dropped,omitempty"` // kids that left keys.yaml: expired, or leaked
	Out      string   `json:"out,omitempty"`     // file of the key set, or its ConfigMap
	Added    []string `json:"added,omitempty"`   // kids that were added to the key set
	Removed  []string `json:"removed,omitempty"` // kids that were removed from it
	Denials  *Denials `json:"denials,omitempty"`
	Keys     []Key    `json:"keys"` // the newest first
	Next     []Event  `json:"next"`
	Problems []string `json:"problems,omitempty"` // found by status only
	Notes    []string `json:"notes,omitempty"`
}

// Denials is the time in which verifiers may not know the signing key yet.
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

// Event is a future change of a key.
type Event struct {
	At   time.Time `json:"at"`
	Key  string    `json:"kid"`
	What string    `json:"what"`
}

// Describe reports the keys of a directory's files and their future, and checks nothing.
// place is the name of the directory or Secret.
func Describe(place string, files keyset.Files, now time.Time) (Report, error) {
	set, err := files.SigningKeys()
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", place, err)
	}
	return newReport(place, "", set, now), nil
}

func newReport(place, made string, set *keyset.SigningKeys, now time.Time) Report {
	r := Report{Place: place, Changed: made != "", Made: made, Keys: []Key{}, Next: []Event{}}
	for _, key := range set.Keys() {
		p := key.Plan()
		r.Keys = append(r.Keys, Key{
			ID: key.ID(), Algorithm: key.Algorithm(), State: set.StateOf(key, now),
			PublishAt: p.PublishAt, SignFrom: p.SignFrom, SignUntil: p.SignUntil, RemoveAfter: p.RemoveAfter,
		})
		r.addEvent(now, p.PublishAt, key, "enters the published set")
		r.addEvent(now, p.SignFrom, key, "starts to sign, and older keys stop")
		r.addEvent(now, p.SignUntil, key, "stops signing")
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

// noteSigningGaps notes when no key signs: gateways then deny every request.
func (r *Report) noteSigningGaps(set *keyset.SigningKeys, now time.Time) {
	end, next := set.NextGap(now)
	signing := end.After(now)
	switch {
	case !signing && next.IsZero():
		r.addNote("no key signs, now or later: gateways deny every request with 503 no_signing_key; run meshpass keys new")
	case !signing:
		r.addNote("no key signs before %s: until then gateways deny every request with 503 no_signing_key", printer.FormatTime(next))
	case next.IsZero():
		r.addNote("after %s no key signs: make the next one at least its lead before that", printer.FormatTime(end))
	default:
		r.addNote("from %s to %s no key signs: gateways will deny every request with 503 no_signing_key", printer.FormatTime(end), printer.FormatTime(next))
	}
}

func (r *Report) addNote(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Print writes the report of a change as text.
func (r Report) Print(w io.Writer) {
	switch {
	case r.Made != "":
		fmt.Fprintf(w, "made key %s in %s\n", r.Made, r.Place)
	case len(r.Dropped) > 0:
		fmt.Fprintf(w, "changed %s\n", r.Place)
	case r.Out != "" && r.Changed:
		fmt.Fprintf(w, "wrote %s\n", r.Out)
	case r.Out != "":
		fmt.Fprintf(w, "nothing to do: %s is up to date\n", r.Out)
	default:
		fmt.Fprintf(w, "nothing to do: %s\n", r.describeCurrentKey())
	}
	printList(w, "dropped: ", r.Dropped)
	printList(w, "added:   ", r.Added)
	printList(w, "removed: ", r.Removed)
	for _, key := range r.Keys {
		if key.State == keyset.StateSigning {
			fmt.Fprintf(w, "now:     %s (%s) signs\n", key.ID, key.Algorithm)
		}
	}
	r.printNext(w)
}

// describeCurrentKey names the key that makes another one unnecessary.
func (r Report) describeCurrentKey() string {
	for _, key := range r.Keys { // the newest first: a key that waits comes before one that signs
		switch key.State {
		case keyset.StatePlanned, keyset.StatePublished:
			return fmt.Sprintf("key %s in %s waits to sign at %s", key.ID, r.Place, printer.FormatTime(key.SignFrom))
		case keyset.StateSigning:
			return fmt.Sprintf("key %s in %s signs", key.ID, r.Place)
		case keyset.StateRetiring, keyset.StateRemoved: // an older key
		}
	}
	return r.Place + " is up to date"
}

// PrintStatus writes the state of all keys as text.
func (r Report) PrintStatus(w io.Writer) {
	fmt.Fprintf(w, "%s\n", r.Place)
	for _, key := range r.Keys {
		fmt.Fprintf(w, "%-9s  %s (%s)\n", key.State, key.ID, key.Algorithm)
	}
	r.printNext(w)
	printList(w, "PROBLEM: ", r.Problems)
}

func (r Report) printNext(w io.Writer) {
	if r.Denials != nil {
		fmt.Fprintf(w, "denials: until %s at the latest, authorizers without the new set deny requests (kid_unknown)\n", printer.FormatTime(r.Denials.Until))
	}
	for _, e := range r.Next {
		fmt.Fprintf(w, "%s  %s %s\n", printer.FormatTime(e.At), e.Key, e.What)
	}
	printList(w, "note:    ", r.Notes)
}

func printList(w io.Writer, label string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(w, "%s%s\n", label, line)
	}
}
