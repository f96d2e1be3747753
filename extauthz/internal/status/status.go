// Package status is what an authorizer says of itself: which policies decide,
// which ones its files want, and why the two differ. The same [Report] is served
// as JSON, counted in metrics and printed by `meshpass status`, so that the three
// cannot disagree. It names files, lines and targets; never keys, tokens or claims.
package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Path is where a report is served, on the address of probes and metrics.
const Path = "/status"

// Report is one authorizer at one moment.
type Report struct {
	State    string   `json:"state"` // Ready, or why not
	Policies Policies `json:"policies"`
	Issuers  []Issuer `json:"issuers"`
	Sources  []Source `json:"sources"` // sorted by name
	Audit    *Audit   `json:"audit"`   // nil: from an authorizer of an earlier version

	Revocations []Revocations `json:"revocations,omitempty"` // sorted by source
}

// Ready is the state of an authorizer that answers Checks.
const Ready = "ready"

// Policies is what decides.
type Policies struct {
	Generation string     `json:"generation"` // in force, as in audit records
	Wanted     string     `json:"wanted"`     // of what the files hold; Generation where nothing is refused
	Documents  int        `json:"documents"`  // in force
	Rejected   []Rejected `json:"refused,omitempty"`
	Unguarded  string     `json:"unguarded"`           // deny or shadow
	Overrides  []Override `json:"overrides,omitempty"` // that lift something now
}

// Rejected is a document, file or folder that cannot be used.
type Rejected struct {
	Name   string `json:"name"`
	Folder string `json:"folder,omitempty"`
	File   string `json:"file"`
	Denied bool   `json:"denied"` // all that it guards is; otherwise what was in force before stays
}

// Override is one that lifts the policies of a target.
type Override struct {
	Target string    `json:"target"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// Issuer is one whose tokens are believed, with its keys.
type Issuer struct {
	Name    string    `json:"name"`
	Keys    int       `json:"keys"`              // that may be used now
	Skipped int       `json:"skipped,omitempty"` // keys of the set whose kty is unknown
	Fetched time.Time `json:"fetched,omitzero"`  // from its URL; zero: never, or from a file
	Until   time.Time `json:"until,omitzero"`    // from when on they may no longer be used; zero: never
	Problem string    `json:"problem,omitempty"` // why the last fetch came to nothing

	Conflict string `json:"conflict,omitempty"` // keys of its set that are another issuer's, and dropped
}

// Revocations is a list of what was withdrawn.
type Revocations struct {
	Source  string   `json:"source"` // file or redis
	Serial  uint64   `json:"serial"`
	Entries int      `json:"entries"`
	Age     float64  `json:"age_seconds"`       // since it was last seen to be what its source holds
	Alarms  []string `json:"alarms,omitempty"`  // what no honest writer does unasked
	Unknown []string `json:"unknown,omitempty"` // issuers of entries that are not trusted here; the first ten

	UnknownEntries int `json:"unknown_entries,omitempty"` // that refuse nothing for that reason
}

// Notes are the alarms, and a warning of entries that refuse nothing.
func (r Revocations) Notes() (all []string) {
	for _, alarm := range r.Alarms {
		all = append(all, "revocations in "+r.Source+": "+alarm)
	}
	return append(all, r.listWarnings()...)
}

// listWarnings are no findings: a list that several clusters share names issuers of each.
func (r Revocations) listWarnings() (all []string) {
	if r.UnknownEntries > 0 {
		all = append(all, fmt.Sprintf("revocations in %s: %d entries refuse nothing here, as their issuers are not trusted: %s",
			r.Source, r.UnknownEntries, strings.Join(r.Unknown, ", ")))
	}
	return all
}

// KeyCount says for people how many keys of a set may be used, and how many are skipped.
func KeyCount(keys, skipped int) string {
	text := fmt.Sprintf("%d keys", keys)
	if keys == 1 {
		text = "1 key"
	}
	if skipped > 0 {
		text += fmt.Sprintf(" (and %d of an unknown kind)", skipped)
	}
	return text
}

// Source is what is made of files that may change.
type Source struct {
	Name     string    `json:"name"`
	Since    time.Time `json:"since"`              // when what is in force was made
	Looked   time.Time `json:"looked,omitzero"`    // when the last look at the files came to its end
	Problems []string  `json:"problems,omitempty"` // why not all that the files hold is in force
}

// Handler serves the report as it is when asked for.
func Handler(report func() Report) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/json")
		w.Header().Set("cache-control", "no-store")
		_ = json.NewEncoder(w).Encode(report()) // what fails here is the connection
	})
}

// Findings tells in words what is not as wanted. An override is wanted by whoever
// wrote it, so it is none.
func (r Report) Findings() []string {
	var all []string
	if r.State != Ready {
		all = append(all, r.State)
	}
	if r.Policies.Generation != r.Policies.Wanted {
		all = append(all, fmt.Sprintf("generation %s is in force, the files hold %s", r.Policies.Generation, r.Policies.Wanted))
	}
	for _, refused := range r.Policies.Rejected {
		all = append(all, refused.describeRejection())
	}
	for _, issuer := range r.Issuers {
		all = append(all, issuer.listFindings()...)
	}
	for _, list := range r.Revocations {
		for _, alarm := range list.Alarms {
			all = append(all, "revocations in "+list.Source+": "+alarm)
		}
	}
	for _, source := range r.Sources {
		for _, problem := range source.Problems {
			all = append(all, source.Name+": "+problem)
		}
	}
	if r.Audit != nil {
		all = append(all, r.Audit.Findings()...)
	}
	return all
}

func (i Issuer) listFindings() (all []string) {
	if i.Keys == 0 {
		all = append(all, "issuer "+i.Name+": no keys that may be used")
	}
	if i.Conflict != "" {
		all = append(all, "issuer "+i.Name+": "+i.Conflict+": it is not used for "+i.Name)
	}
	if i.Problem != "" {
		all = append(all, "issuer "+i.Name+": the last fetch failed: "+i.Problem)
	}
	return all
}

func (r Rejected) describeRejection() string {
	instead := "what was in force before stays"
	if r.Denied {
		instead = "all that it guards is denied"
	}
	return fmt.Sprintf("%s (%s) is refused: %s", r.Name, r.File, instead)
}
