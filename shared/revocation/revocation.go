// Package revocation withdraws tokens before they end: those of a transaction
// (txn), of a session (sid), of a user (sub), or all that a key has signed (kid).
//
// A list is a document that people and tools write whole (see [Parse]). For users
// and sessions an entry has a time, notBefore: tokens issued at or before it do not
// hold. Put into the future it keeps the user out until then, since the edge asks
// the same question before it signs, of a token that would be issued now.
//
// Revocation ends new requests. A stream that was let in goes on.
package revocation

import (
	"time"
)

// Kind says what an entry's value names.
type Kind string

// The kinds. Each value is compared byte by byte with the claim or header
// parameter of this name.
const (
	Txn Kind = "txn"
	SID Kind = "sid" // tctx.sid: the pseudonym of the session's key
	Sub Kind = "sub"
	KID Kind = "kid"
)

// dated reports whether an entry of the kind refuses only tokens up to a time.
func (k Kind) dated() bool { return k == SID || k == Sub }

// Entry withdraws the tokens of one issuer that have this value.
type Entry struct {
	Issuer    string    `yaml:"issuer"`
	Kind      Kind      `yaml:"kind"`
	Value     string    `yaml:"value"`
	NotBefore time.Time `yaml:"notBefore"` // of sid and sub: tokens issued at or before it do not hold
	Expires   time.Time `yaml:"expires"`   // from then on the entry counts no more
	By        string    `yaml:"by"`        // who wrote it; for people
	Reason    string    `yaml:"reason"`    // why; for people
}

// Token is what of a token can be revoked.
type Token struct {
	Issuer, Txn, SID, Subject, KeyID string
	Issued                           time.Time
}

// List is an immutable set of entries. The zero value revokes nothing.
type List struct {
	serial  uint64
	entries []Entry
	index   map[name]Entry
}

type name struct {
	issuer string
	kind   Kind
	value  string
}

func (e Entry) name() name { return name{e.Issuer, e.Kind, e.Value} }

// Serial grows with every change that meshpass revoke makes. A list with a lower
// one is an older list.
func (l *List) Serial() uint64 { return l.serial }

// Len counts the entries, expired ones too.
func (l *List) Len() int { return len(l.entries) }

// Entries are those of the document, in its order.
func (l *List) Entries() []Entry { return append([]Entry(nil), l.entries...) }

// Revokes reports whether the token does not hold any more. It takes the same
// time however long the list is.
func (l *List) Revokes(t Token, now time.Time) bool {
	return l.has(name{t.Issuer, Txn, t.Txn}, t, now) || l.has(name{t.Issuer, SID, t.SID}, t, now) ||
		l.has(name{t.Issuer, Sub, t.Subject}, t, now) || l.has(name{t.Issuer, KID, t.KeyID}, t, now)
}

func (l *List) has(n name, t Token, now time.Time) bool {
	e, listed := l.index[n]
	return listed && now.Before(e.Expires) && !(e.Kind.dated() && t.Issued.After(e.NotBefore))
}
