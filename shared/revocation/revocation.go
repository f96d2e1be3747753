// Package revocation ends tokens before their time: those of one transaction (txn), one
// session (sid) or one user (sub), or all that one key has signed (kid).
//
// A [List] is a document with entries ([Parse]). It never changes: [List.WithEntries] and
// [List.WithoutEntry] return another one, with a higher serial. An [Entry] names an issuer,
// a kind and a value, and expires. An entry for a user or a session also has a time,
// notBefore: it revokes the tokens that were issued until then. A time in the future keeps
// the user out until then, because the edge checks the same list before it signs, as if the
// token had been issued already.
//
// A [Checker] checks a token against several lists. A [History] follows one list as it
// changes, and finds changes that only an old copy or a hostile writer makes.
//
// Revocation denies new requests. A stream that was allowed before goes on.
package revocation

import (
	"sort"
	"time"
)

// Kind is the claim or header parameter whose value an entry has.
type Kind string

// The kinds. Values are compared byte by byte.
const (
	Txn Kind = "txn"
	SID Kind = "sid" // tctx.sid, the pseudonym of the session key
	Sub Kind = "sub"
	KID Kind = "kid"
)

// hasNotBefore reports whether entries of this kind revoke only tokens issued until a time.
func (k Kind) hasNotBefore() bool { return k == SID || k == Sub }

// Entry revokes the tokens of one issuer that have this value.
type Entry struct {
	Issuer    string    `yaml:"issuer"`
	Kind      Kind      `yaml:"kind"`
	Value     string    `yaml:"value"`
	NotBefore time.Time `yaml:"notBefore"` // of sid and sub: tokens issued at or before it are revoked
	Expires   time.Time `yaml:"expires"`   // from then on the entry has no effect
	By        string    `yaml:"by"`        // who wrote it; for people
	Reason    string    `yaml:"reason"`    // why; for people
}

// Token has the values of a token that entries are compared with.
type Token struct {
	Issuer, Txn, SID, Subject, KeyID string
	Issued                           time.Time
}

// List is a set of entries. It never changes. The zero value revokes nothing.
type List struct {
	serial  uint64
	entries []Entry
	index   map[entryName]Entry
}

// entryName is unique in a list.
type entryName struct {
	issuer string
	kind   Kind
	value  string
}

func (e Entry) name() entryName {
	return entryName{issuer: e.Issuer, kind: e.Kind, value: e.Value}
}

// Serial returns the number of the list, a time in milliseconds. Each change makes it
// higher: a list with a lower serial is older.
func (l *List) Serial() uint64 { return l.serial }

// Len returns the number of entries, including expired ones.
func (l *List) Len() int { return len(l.entries) }

// Entries returns the entries in the order of the document.
func (l *List) Entries() []Entry { return append([]Entry(nil), l.entries...) }

// Revokes reports whether an entry revokes the token at this time. The time that it takes
// does not depend on the length of the list.
func (l *List) Revokes(t Token, now time.Time) bool {
	return l.revokesByEntry(Txn, t.Txn, t, now) || l.revokesByEntry(SID, t.SID, t, now) ||
		l.revokesByEntry(Sub, t.Subject, t, now) || l.revokesByEntry(KID, t.KeyID, t, now)
}

func (l *List) revokesByEntry(kind Kind, value string, t Token, now time.Time) bool {
	e, listed := l.index[entryName{issuer: t.Issuer, kind: kind, value: value}]
	return listed && now.Before(e.Expires) && !(kind.hasNotBefore() && t.Issued.After(e.NotBefore))
}

// UnknownIssuers returns the issuers of entries that are not among these, each once and
// sorted, and the number of these entries. They revoke no token that is valid here.
func (l *List) UnknownIssuers(issuers []string) (unknown []string, entries int) {
	known := map[string]bool{}
	for _, issuer := range issuers {
		known[issuer] = true
	}
	seen := map[string]bool{}
	for _, e := range l.entries {
		if known[e.Issuer] {
			continue
		}
		entries++
		if !seen[e.Issuer] {
			seen[e.Issuer] = true
			unknown = append(unknown, e.Issuer)
		}
	}
	sort.Strings(unknown)
	return unknown, entries
}
