package keys

import (
	"fmt"
	"io"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Print writes the report of a command that may change something, for people.
func (r Report) Print(w io.Writer) {
	switch {
	case r.Made != "":
		fmt.Fprintf(w, "made key %s in %s\n", r.Made, r.Place)
	case len(r.Dropped) > 0:
		fmt.Fprintf(w, "changed %s\n", r.Place)
	case r.Out != "" && r.Changed:
		fmt.Fprintf(w, "wrote %s\n", r.Out)
	case r.Out != "":
		fmt.Fprintf(w, "nothing to do: %s holds what is to be published\n", r.Out)
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

// describeCurrentKey names the key because of which no other one is made.
func (r Report) describeCurrentKey() string {
	for _, key := range r.Keys { // the newest first: a key that waits comes before one that signs
		switch key.State {
		case keyset.StatePlanned, keyset.StatePublished:
			return fmt.Sprintf("key %s in %s waits to sign at %s", key.ID, r.Place, formatTime(key.SignFrom))
		case keyset.StateSigning:
			return fmt.Sprintf("key %s in %s signs", key.ID, r.Place)
		}
	}
	return r.Place + " is up to date"
}

// PrintStatus writes the state of all keys.
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
		fmt.Fprintf(w, "denials: until %s at the latest, authorizers that have not got the new set refuse requests (kid_unknown)\n", formatTime(r.Denials.Until))
	}
	for _, e := range r.Next {
		fmt.Fprintf(w, "%s  %s %s\n", formatTime(e.At), e.Key, e.What)
	}
	printList(w, "note:    ", r.Notes)
}

func printList(w io.Writer, label string, lines []string) {
	for _, line := range lines {
		fmt.Fprintf(w, "%s%s\n", label, line)
	}
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
