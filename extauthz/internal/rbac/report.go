package rbac

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Kind is what a row of the comparison means.
type Kind string

// The kinds. Dead, Wider, Unreached and PartlyReached are faults.
const (
	Dead             Kind = "dead"              // Tyk admits it, and no hop allows any of it
	Wider            Kind = "wider"             // Tyk admits it, and no hop allows a part of it
	Unreached        Kind = "unreached"         // a hop allows it, and no Tyk policy reaches any of it
	PartlyReached    Kind = "partly_reached"    // a hop allows it, and no Tyk policy reaches a part of it
	ConditionalGrant Kind = "conditional"       // Tyk admits it, and a hop decides by what only the request has
	ReachedByOthers  Kind = "reached_by_others" // a hop allows it to the caller, and only other Tyk policies reach it
	Agreed           Kind = "agreed"            // Tyk admits it, and the hops allow it
	Void             Kind = "void"              // the grant admits no request
)

// kinds are all kinds in the order of reports, with their meaning.
var kinds = []struct {
	Kind    Kind
	Fault   bool
	Meaning string
}{
	{Dead, true, "Tyk admits it, no hop allows it"},
	{Wider, true, "Tyk admits it, no hop allows a part of it"},
	{Unreached, true, "a hop allows it, no Tyk policy reaches it"},
	{PartlyReached, true, "a hop allows it, no Tyk policy reaches a part of it"},
	{ConditionalGrant, false, "Tyk admits it, the request decides at a hop"},
	{ReachedByOthers, false, "a hop allows it to this caller, only other Tyk policies reach it"},
	{Agreed, false, "Tyk admits it, the hops allow it"},
	{Void, false, "the grant admits no request"},
}

// FaultKinds are the kinds that can be accepted.
func FaultKinds() (all []string) {
	for _, k := range kinds {
		if k.Fault {
			all = append(all, string(k.Kind))
		}
	}
	return all
}

// Row is one line of the comparison: who, API, methods, path.
type Row struct {
	Who        string        `json:"who"`
	API        string        `json:"api"`
	Methods    []string      `json:"methods,omitempty"`
	Kind       Kind          `json:"kind"`
	IsRule     bool          `json:"rule"`            // Pattern is DOCUMENT/RULE; false: a pattern of allowed_urls
	Pattern    string        `json:"pattern"`         //
	Paths      []string      `json:"paths,omitempty"` // of a rule
	Alias      bool          `json:"alias"`           // by /{api_id}/
	Example    *Example      `json:"example,omitempty"`
	Conditions []string      `json:"conditions,omitempty"` // a request decides them
	Reason     string        `json:"reason,omitempty"`
	Accepted   bool          `json:"accepted,omitempty"`
	Place      objects.Place `json:"place"`
}

// Example is the shortest request of a row.
type Example struct {
	Method   string `json:"method"`
	Client   string `json:"client,omitempty"` // the path at the gateway, decoded; absent: no request reaches the upstream's path
	Upstream string `json:"upstream"`         // the path at the upstream, decoded
	Version  string `json:"version,omitempty"`
	Callee   string `json:"callee"`
}

// Report is the result of a comparison.
type Report struct {
	Rows      []Row               `json:"rows"`
	Counts    map[Kind]int        `json:"counts"`
	Faults    int                 `json:"faults"` // that are not accepted
	Notes     []string            `json:"notes"`
	Unchecked []objects.Unchecked `json:"unchecked"`

	index map[string]int // of Rows, by what rows have in common but methods
}

func (r *Report) addNote(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// add joins rows that differ by the method and the example alone.
func (r *Report) add(row Row) {
	key := fmt.Sprint(row.Who, "\x00", row.API, "\x00", row.Kind, row.IsRule, row.Alias, "\x00", row.Pattern, "\x00", row.Conditions, "\x00", row.Reason, "\x00", row.Place)
	at, known := r.index[key]
	if !known {
		if r.index == nil {
			r.index = map[string]int{}
		}
		r.index[key] = len(r.Rows)
		r.Rows = append(r.Rows, row)
		return
	}
	for _, m := range row.Methods {
		if !slices.Contains(r.Rows[at].Methods, m) {
			r.Rows[at].Methods = append(r.Rows[at].Methods, m)
		}
	}
}

func (r *Report) finish(set *objects.Set, accepted []Kind) {
	rank := map[Kind]int{}
	for i, k := range kinds {
		rank[k.Kind] = i
	}
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), strings.Compare(a.Who, b.Who), strings.Compare(a.API, b.API), strings.Compare(a.Pattern, b.Pattern))
	})
	r.Counts = map[Kind]int{}
	for i := range r.Rows {
		row := &r.Rows[i]
		r.Counts[row.Kind]++
		if kinds[rank[row.Kind]].Fault {
			if row.Accepted = slices.Contains(accepted, row.Kind); !row.Accepted {
				r.Faults++
			}
		}
	}
	for _, note := range set.Notes {
		r.addNote(note)
	}
	for _, kind := range slices.Sorted(maps.Keys(set.Ignored)) {
		r.addNote(fmt.Sprintf("%s is not read: %d", kind, set.Ignored[kind]))
	}
	if r.Rows == nil {
		r.Rows = []Row{}
	}
	if r.Notes == nil {
		r.Notes = []string{}
	}
	r.Unchecked = set.SortedUnchecked()
}

// Passes reports whether there is no fault.
func (r Report) Passes() bool { return r.Faults == 0 }

// IsComplete reports whether everything could be compared.
func (r Report) IsComplete() bool { return len(r.Unchecked) == 0 }

// Print writes the report for people.
func (r Report) Print(to io.Writer) error {
	var b strings.Builder
	for _, k := range kinds {
		first := true
		for _, row := range r.Rows {
			if row.Kind != k.Kind {
				continue
			}
			if first {
				printer.Fprintf(&b, "%s: %s\n", k.Kind, k.Meaning)
				first = false
			}
			row.print(&b)
		}
	}
	for _, u := range r.Unchecked {
		printer.Fprintf(&b, "%s: not checked: %s\n", u.Place, u.Reason)
	}
	for _, text := range r.Notes {
		printer.Fprintf(&b, "note: %s\n", text)
	}
	var counts []string
	for _, k := range kinds {
		counts = append(counts, fmt.Sprintf("%s: %d", k.Kind, r.Counts[k.Kind]))
	}
	printer.Fprintf(&b, "%s; faults: %d, not checked: %d\n", strings.Join(counts, ", "), r.Faults, len(r.Unchecked))
	_, err := io.WriteString(to, b.String())
	return err
}

func (row Row) print(b *strings.Builder) {
	printer.Fprintf(b, "  %s, API %s: %s %s%s%s\n", row.Who, row.API, row.methodText(), row.pathText(), row.aliasText(), row.acceptedText())
	if row.Example != nil {
		printer.Fprintf(b, "    example: %s\n", row.Example)
	}
	if row.Reason != "" {
		printer.Fprintf(b, "    %s\n", row.Reason)
	}
	for _, condition := range row.Conditions {
		printer.Fprintf(b, "    condition: %s\n", condition)
	}
	printer.Fprintf(b, "    %s\n", row.Place)
}

func (row Row) methodText() string {
	if len(row.Methods) == 0 {
		return "no method"
	}
	return strings.Join(row.Methods, ",")
}

func (row Row) pathText() string {
	switch {
	case row.IsRule:
		return fmt.Sprintf("%s (rule %s)", strings.Join(row.Paths, " "), row.Pattern)
	case row.Pattern == everyPath:
		return everyPath
	}
	return fmt.Sprintf("%q", row.Pattern)
}

func (row Row) aliasText() string {
	if row.Alias {
		return ", by the alias"
	}
	return ""
}

func (row Row) acceptedText() string {
	if row.Accepted {
		return ", accepted"
	}
	return ""
}

// String shows both paths.
func (e *Example) String() string {
	text := e.Method + " " + e.Upstream + " at " + e.Callee
	if e.Client != "" {
		text = e.Method + " " + e.Client + " -> " + e.Upstream + " at " + e.Callee
	}
	if e.Version != "" {
		text += ", version " + e.Version
	}
	return text
}
