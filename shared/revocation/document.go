package revocation

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Limits of a list. A full list rejects new entries and never drops one. In an incident of
// that size, revoke a key (kid): that takes one entry.
const (
	MaxEntries = 10_000
	MaxBytes   = 8 << 20
	maxSerial  = 1 << 53 // beyond it JSON numbers lose digits
	maxText    = 4096    // as for the claims of a token
	maxNote    = 256
)

// ErrFull is the error for more than [MaxEntries] entries or [MaxBytes] bytes.
var ErrFull = fmt.Errorf("the list is full: at most %d entries in %d bytes; wait until some expire, or revoke a key (kid)", MaxEntries, MaxBytes)

type document struct {
	Serial      uint64  `yaml:"serial"`
	Revocations []Entry `yaml:"revocations"`
}

// Parse reads a document, YAML or JSON:
//
//	serial: 1
//	revocations:
//	  - {issuer: "https://tyk.example.com", kind: sub, value: "okta:alice",
//	     notBefore: 2026-06-01T12:00:00Z, expires: 2026-06-01T12:06:00Z, by: ops, reason: "laptop stolen"}
//
// One invalid entry rejects the whole document. The error is [ErrFull], or
// [strictyaml.Problems] with every mistake.
func Parse(data []byte) (*List, error) {
	if len(data) > MaxBytes {
		return nil, ErrFull
	}
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return nil, err
	}
	var d document
	problems := doc.Decode(&d)
	if !doc.Has("revocations") {
		problems.Add(doc.PositionOf(), "revocations is missing: write revocations: [] for none")
	}
	if d.Serial > maxSerial {
		problems.Add(doc.PositionOf("serial"), "serial: want at most %d", uint64(maxSerial))
	}
	if len(d.Revocations) > MaxEntries {
		return nil, ErrFull
	}
	index := make(map[entryName]Entry, len(d.Revocations))
	for i, e := range d.Revocations {
		if err := e.check(); err != nil {
			problems.Add(doc.PositionOf("revocations", i), "entry %d: %s", i+1, err)
		}
		if _, twice := index[e.name()]; twice {
			problems.Add(doc.PositionOf("revocations", i), "entry %d: this %s of this issuer is listed twice", i+1, e.Kind)
		}
		index[e.name()] = e
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &List{serial: d.Serial, entries: d.Revocations, index: index}, nil
}

func (e Entry) check() error {
	switch e.Kind {
	case Txn, SID, Sub, KID:
	default:
		return fmt.Errorf("kind %.32q: want txn, sid, sub or kid", e.Kind)
	}
	switch {
	case !isPlainText(e.Issuer, maxText) || e.Issuer == "":
		return errors.New("issuer: want the iss of the tokens")
	case !isPlainText(e.Value, maxText) || e.Value == "":
		return errors.New("value: want a text without control characters")
	case !isPlainText(e.By, maxNote) || !isPlainText(e.Reason, maxNote):
		return fmt.Errorf("by, reason: want at most %d bytes without control characters", maxNote)
	case e.Expires.IsZero():
		return errors.New("expires is missing: every entry must end")
	case e.Kind.hasNotBefore() && e.NotBefore.IsZero():
		return fmt.Errorf("notBefore is missing: tokens of this %s issued until then are revoked", e.Kind)
	case e.Kind.hasNotBefore() && !e.Expires.After(e.NotBefore):
		return errors.New("expires is not after notBefore: tokens would be valid again")
	case !e.Kind.hasNotBefore() && !e.NotBefore.IsZero():
		return fmt.Errorf("notBefore is for sid and sub: all tokens of a %s are revoked", e.Kind)
	}
	return nil
}

func isPlainText(text string, maxBytes int) bool {
	return len(text) <= maxBytes && !strings.ContainsFunc(text, unicode.IsControl)
}

// Document returns the list in the form that [Parse] reads: YAML, with one entry in a line.
func (l *List) Document() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "serial: %d\nrevocations:", l.serial)
	if len(l.entries) == 0 {
		b.WriteString(" []")
	}
	b.WriteByte('\n')
	for _, e := range l.entries {
		line, _ := json.Marshal(e) // texts, and times in years of four digits: cannot fail
		fmt.Fprintf(&b, "  - %s\n", line)
	}
	return []byte(b.String())
}

// MarshalJSON leaves out a zero notBefore. (The tag omitzero does that too, but it is newer
// than the Go of the oldest supported gateway.)
func (e Entry) MarshalJSON() ([]byte, error) {
	written := struct {
		Issuer    string     `json:"issuer"`
		Kind      Kind       `json:"kind"`
		Value     string     `json:"value"`
		NotBefore *time.Time `json:"notBefore,omitempty"`
		Expires   time.Time  `json:"expires"`
		By        string     `json:"by,omitempty"`
		Reason    string     `json:"reason,omitempty"`
	}{Issuer: e.Issuer, Kind: e.Kind, Value: e.Value, Expires: e.Expires.UTC(), By: e.By, Reason: e.Reason}
	if !e.NotBefore.IsZero() {
		utc := e.NotBefore.UTC()
		written.NotBefore = &utc
	}
	return json.Marshal(written)
}
