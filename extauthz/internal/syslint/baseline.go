package syslint

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
)

// Baseline is a file with findings that are known and accepted.
type Baseline struct {
	Version  int        `json:"version"`
	Accepted []Accepted `json:"accepted"`
}

// Accepted is a finding without its line, which moves.
type Accepted struct {
	Code    string `json:"code"`
	Object  string `json:"object,omitempty"`
	Key     string `json:"key,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Reason  string `json:"reason,omitempty"` // for people
}

// contentHash is what kustomize adds to the name of a ConfigMap or Secret. It changes with every edit of a file.
var contentHash = regexp.MustCompile(`-[bcdfghkmt24-9]{10}\b`)

func (a Accepted) key() Accepted {
	a.Reason = ""
	a.Object, a.Message = contentHash.ReplaceAllString(a.Object, ""), contentHash.ReplaceAllString(a.Message, "")
	return a
}

func (f Finding) accepted() Accepted {
	return Accepted{Code: f.Code, Object: f.Object, Key: f.Key, Path: f.Path, Message: f.Message}.key()
}

// ParseBaseline reads a baseline. An unknown code is an error, as it accepts nothing.
func ParseBaseline(name string, data []byte) (Baseline, error) {
	var b Baseline
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		return b, fmt.Errorf("%s: no baseline: %w; write one with --write-baseline", name, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return b, fmt.Errorf("%s: want one JSON object, and nothing after it", name)
	}
	if b.Version != 1 {
		return b, fmt.Errorf("%s: version %d: want 1", name, b.Version)
	}
	known := map[string]bool{}
	for _, rule := range Rules() {
		known[rule.Code] = true
	}
	for i, a := range b.Accepted {
		if !known[a.Code] {
			return b, fmt.Errorf("%s: accepted[%d]: unknown code %q", name, i, a.Code)
		}
	}
	return b, nil
}

// Accept removes the findings of a baseline from the report. Each entry accepts all findings that it describes.
func (r *Report) Accept(b Baseline) {
	entries, used := map[Accepted]bool{}, map[Accepted]bool{}
	for _, a := range b.Accepted {
		entries[a.key()] = true
	}
	kept := []Finding{}
	for _, f := range r.Findings {
		if key := f.accepted(); entries[key] {
			used[key] = true
			r.Accepted++
			continue
		}
		kept = append(kept, f)
	}
	r.Findings = kept
	for _, a := range b.Accepted {
		if !used[a.key()] {
			r.Outdated = append(r.Outdated, fmt.Sprintf("%s: %s", a.Code, a.Message))
		}
	}
}

// NewBaseline accepts all findings of a report.
func NewBaseline(r Report) ([]byte, error) {
	b := Baseline{Version: 1, Accepted: []Accepted{}}
	seen := map[Accepted]bool{}
	for _, f := range r.Findings {
		if a := f.accepted(); !seen[a] {
			seen[a] = true
			b.Accepted = append(b.Accepted, a)
		}
	}
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}
