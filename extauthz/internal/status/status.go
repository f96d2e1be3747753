// Package status is the report of an authorizer about itself: which policies are active,
// which ones its files contain, and why the two differ. The same [Report] is served as
// JSON, counted in metrics and printed by `meshpass status`, so that the three cannot
// differ. It names files, lines and targets, never tokens or claims, and of keys only their ids.
package status

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Path is the URL path of the report, on the address of probes and metrics.
const Path = "/status"

// Report is one authorizer at one moment.
type Report struct {
	State    string   `json:"state"` // [Ready], or why the authorizer is not ready
	Policies Policies `json:"policies"`
	Issuers  []Issuer `json:"issuers"`
	Sources  []Source `json:"sources"` // sorted by name
	Audit    *Audit   `json:"audit"`   // nil: from an authorizer of an earlier version
	Limits   []Limit  `json:"limits,omitempty"`

	Deadlines []Deadline `json:"deadlines,omitempty"` // of each listener
	Tracing   *Tracing   `json:"tracing,omitempty"`   // nil: no spans are exported
	LogLevel  string     `json:"logLevel,omitempty"`

	Revocations []Revocations `json:"revocations,omitempty"` // sorted by source
}

// Ready is the state of an authorizer that answers Checks.
const Ready = "ready"

// Policies is the state of the policy documents.
type Policies struct {
	Generation string     `json:"generation"` // active, as in audit records
	Wanted     string     `json:"wanted"`     // of the content of the files; equal to Generation if no document is rejected
	Documents  int        `json:"documents"`  // active
	Folders    []Folder   `json:"folders,omitempty"`
	Rejected   []Rejected `json:"refused,omitempty"`
	Unguarded  string     `json:"unguarded"`           // deny or shadow
	Overrides  []Override `json:"overrides,omitempty"` // that lift documents now
}

// Folder is a folder of documents as it was loaded last.
type Folder struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Version string `json:"version"` // where links of the path led, such as a folder that git-sync names by the commit
}

// Rejected is a document, file or folder that cannot be loaded.
type Rejected struct {
	Name   string `json:"name"`
	Folder string `json:"folder,omitempty"`
	File   string `json:"file"`
	Denied bool   `json:"denied"` // its targets are denied; otherwise its previous version stays active
}

// Override lifts the documents of a target.
type Override struct {
	Target string    `json:"target"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// Issuer is a trusted issuer with its keys.
type Issuer struct {
	Name    string    `json:"name"`
	Keys    int       `json:"keys"`              // that may be used now
	KeyIDs  []string  `json:"keyIds,omitempty"`  // of these, sorted; nil: of an authorizer of an earlier version
	Skipped int       `json:"skipped,omitempty"` // keys of the set whose kty is unknown
	Fetched time.Time `json:"fetched,omitzero"`  // from its URL; zero: never, or from a file
	Until   time.Time `json:"until,omitzero"`    // the keys may not be used after that; zero: no limit
	Problem string    `json:"problem,omitempty"` // why the last fetch failed

	Conflict string `json:"conflict,omitempty"` // keys of its set that belong to another issuer and are dropped
}

// Revocations is the state of a list of revocations.
type Revocations struct {
	Source  string   `json:"source"` // file or redis
	Serial  uint64   `json:"serial"`
	Entries int      `json:"entries"`
	Age     float64  `json:"age_seconds"`       // since its source was last seen to hold it
	Alarms  []string `json:"alarms,omitempty"`  // changes that no regular writer makes
	Unknown []string `json:"unknown,omitempty"` // issuers of entries that are not trusted here; the first ten

	UnknownEntries int `json:"unknown_entries,omitempty"` // entries without effect for that reason
}

// Notes returns the alarms, and a warning of entries without effect.
func (r Revocations) Notes() (all []string) {
	for _, alarm := range r.Alarms {
		all = append(all, "revocations in "+r.Source+": "+alarm)
	}
	return append(all, r.listWarnings()...)
}

// listWarnings returns warnings that are not findings: a list that several clusters share contains
// issuers of each.
func (r Revocations) listWarnings() (all []string) {
	if r.UnknownEntries > 0 {
		all = append(all, fmt.Sprintf("revocations in %s: %d entries have no effect here, because their issuers are not trusted: %s",
			r.Source, r.UnknownEntries, strings.Join(r.Unknown, ", ")))
	}
	return all
}

// KeyCount describes how many keys of a set may be used, and how many are skipped.
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

// Source is the state of a value that is loaded from files.
type Source struct {
	Name     string    `json:"name"`
	Since    time.Time `json:"since"`              // when the active value was loaded
	Looked   time.Time `json:"looked,omitzero"`    // when the last look at the files ended
	Problems []string  `json:"problems,omitempty"` // why not all content of the files is active
}

// Handler serves the report of the moment.
func Handler(report func() Report) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/json")
		w.Header().Set("cache-control", "no-store")
		_ = json.NewEncoder(w).Encode(report()) // only the connection can fail here
	})
}

// Findings describes the problems of an authorizer. An active override is not one, because
// it was made on purpose.
func (r Report) Findings() []string {
	var all []string
	if r.State != Ready {
		all = append(all, r.State)
	}
	if r.Policies.Generation != r.Policies.Wanted {
		all = append(all, fmt.Sprintf("generation %s is active, the files contain %s", r.Policies.Generation, r.Policies.Wanted))
	}
	for _, rejected := range r.Policies.Rejected {
		all = append(all, rejected.describeRejection())
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
		all = append(all, "issuer "+i.Name+": no usable keys")
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
	instead := "the previous version stays active"
	if r.Denied {
		instead = "all requests to its targets are denied"
	}
	return fmt.Sprintf("%s (%s) is rejected: %s", r.Name, r.File, instead)
}
