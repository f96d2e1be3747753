package revocation_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/revocation"
)

func lockout(user string, until time.Time) revocation.Entry {
	return revocation.Entry{Issuer: issuer, Kind: revocation.Sub, Value: user, NotBefore: until, Expires: until.Add(6 * time.Minute), By: "ops"}
}

// Adding can be repeated. It prolongs entries and never shortens them. Expired entries are removed.
func TestWithEntries(t *testing.T) {
	list := parse(t, every)
	for _, step := range []struct {
		entry   revocation.Entry
		now     time.Time
		changed bool
		length  int
		until   time.Time
	}{
		{lockout("okta:bob", noon.Add(time.Hour)), noon, true, 4, noon.Add(time.Hour)},
		{lockout("okta:bob", noon.Add(time.Hour)), noon, false, 4, noon.Add(time.Hour)},
		{lockout("okta:bob", noon), noon, false, 4, noon.Add(time.Hour)},
		{lockout("okta:bob", noon.Add(2*time.Hour)), noon.Add(6 * time.Minute), true, 1, noon.Add(2 * time.Hour)},
	} {
		next, changed, err := list.WithEntries(step.now, step.entry)
		if err != nil {
			t.Fatal(err)
		}
		bob := revocation.Token{Issuer: issuer, Subject: "okta:bob", Issued: step.until}
		if changed != step.changed || next.Len() != step.length || next.Serial() <= list.Serial() || next.Serial() < uint64(noon.UnixMilli()) || !next.Revokes(bob, step.now) {
			t.Errorf("%v: changed %v, %d entries, serial %d", step, changed, next.Len(), next.Serial())
		}
		bob.Issued = step.until.Add(time.Second)
		if next.Revokes(bob, step.now) {
			t.Errorf("%v: revoked for longer", step)
		}
		list = next
	}
	if _, _, err := list.WithEntries(noon, revocation.Entry{Kind: revocation.Sub}); err == nil {
		t.Error("an entry that no reader takes was written")
	}
}

func TestWithout(t *testing.T) {
	list := parse(t, every)
	next, lifted, found, err := list.WithoutEntry(noon, issuer, revocation.KID, "k-2")
	if err != nil || !found || lifted.Reason != "leaked" || next.Len() != 3 || list.Len() != 4 {
		t.Errorf("got %v, %v, %v", lifted, found, err)
	}
	if _, _, found, _ := next.WithoutEntry(noon, issuer, revocation.KID, "k-2"); found {
		t.Error("found twice")
	}
}

// A full list rejects new entries, and keeps all that it has.
func TestFull(t *testing.T) {
	var all []revocation.Entry
	for i := range revocation.MaxEntries {
		all = append(all, lockout(fmt.Sprintf("okta:%d", i), noon))
	}
	full, _, err := new(revocation.List).WithEntries(noon, all...)
	if err != nil {
		t.Fatal(err)
	}
	if next, _, err := full.WithEntries(noon, lockout("okta:one-more", noon)); next != nil || !errors.Is(err, revocation.ErrFull) {
		t.Errorf("got %v", err)
	}
	first := revocation.Token{Issuer: issuer, Subject: "okta:0", Issued: noon}
	if !full.Revokes(first, noon) {
		t.Error("the first entry is gone")
	}
}
