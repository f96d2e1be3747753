package revocation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/revocation"
)

func TestASerialAheadOfTheClock(t *testing.T) {
	day := uint64(noon.Add(24 * time.Hour).UnixMilli())
	for serial, ahead := range map[uint64]bool{0: false, 7: false, uint64(noon.UnixMilli()): false, day: false, day + 1: true, 1 << 53: true} {
		list := parse(t, fmt.Sprintf("serial: %d\nrevocations: []", serial))
		if err := list.CheckSerial(noon); errors.Is(err, revocation.ErrAhead) != ahead {
			t.Errorf("%d: got %v", serial, err)
		}
	}
	err := parse(t, fmt.Sprintf("serial: %d\nrevocations: []", day+1)).CheckSerial(noon)
	for _, part := range []string{"is of 2026-06-02T12:00:00Z", "the clock here says 2026-06-01T12:00:00Z", "or this machine has"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %s", err, part)
		}
	}
	if err := parse(t, "serial: 1\nrevocations: []").CheckSerial(time.Unix(-1e6, 0)); !errors.Is(err, revocation.ErrAhead) {
		t.Errorf("a clock before 1970: %v", err)
	}
}

func TestAnEmptyListAfterAnother(t *testing.T) {
	for after, want := range map[uint64]uint64{0: uint64(noon.UnixMilli()), uint64(noon.UnixMilli()) + 10: uint64(noon.UnixMilli()) + 11} {
		if list, err := revocation.NewEmptyList(noon, after); err != nil || list.Serial() != want || list.Len() != 0 {
			t.Errorf("after %d: %v, %v", after, list, err)
		}
	}
	for _, after := range []uint64{uint64(noon.Add(25 * time.Hour).UnixMilli()), 1<<53 - 1, 1 << 53, 1<<64 - 1} {
		if _, err := revocation.NewEmptyList(noon, after); err == nil {
			t.Errorf("after %d: made", after)
		}
	}
}

// An entry that vanishes before it expires, or revokes less, is reported for an hour, until
// it would have expired, or until it is back.
func TestVanishedEntries(t *testing.T) {
	line := func(value, notBefore, expires string) string {
		return fmt.Sprintf("  - {issuer: i, kind: sub, value: %q, notBefore: 2026-06-01T%sZ, expires: 2026-06-01T%sZ}\n", value, notBefore, expires)
	}
	list := func(serial int, lines ...string) *revocation.List {
		if len(lines) == 0 {
			lines = []string{"  []\n"}
		}
		return parse(t, fmt.Sprintf("serial: %d\nrevocations:\n%s", serial, strings.Join(lines, "")))
	}
	alice, bob := line("a:alice", "12:00:00", "14:00:00"), line("a:bob", "12:00:00", "12:10:00")
	names := func(all []revocation.Vanished) (text []string) {
		for _, v := range all {
			text = append(text, v.Value)
		}
		return text
	}
	for _, row := range []struct {
		name        string
		next        *revocation.List
		gone, later []string // at once; after ten minutes
	}{
		{"the same", list(2, alice, bob), nil, nil},
		{"one more", list(2, alice, bob, line("a:carol", "12:00:00", "14:00:00")), nil, nil},
		{"prolonged", list(2, bob, line("a:alice", "13:00:00", "15:00:00")), nil, nil},
		{"one less", list(2, bob), []string{"a:alice"}, []string{"a:alice"}},
		{"none", list(2), []string{"a:alice", "a:bob"}, []string{"a:alice"}},
		{"ends earlier", list(2, bob, line("a:alice", "12:00:00", "13:59:59")), []string{"a:alice"}, []string{"a:alice"}},
		{"admits earlier tokens", list(2, bob, line("a:alice", "11:59:59", "14:00:00")), []string{"a:alice"}, []string{"a:alice"}},
	} {
		var h revocation.History
		if gone := h.Observe(list(1, alice, bob), noon); gone != nil {
			t.Errorf("the first list: %v", gone)
		}
		gone := h.Observe(row.next, noon)
		if !slices.Equal(names(gone), row.gone) || h.VanishedCount() != uint64(len(row.gone)) || !slices.Equal(names(h.Vanished(noon)), row.gone) {
			t.Errorf("%s: got %v, %v", row.name, names(gone), names(h.Vanished(noon)))
		}
		if got := names(h.Vanished(noon.Add(10 * time.Minute))); !slices.Equal(got, row.later) {
			t.Errorf("%s: later %v", row.name, got)
		}
		if got := h.Vanished(noon.Add(time.Hour)); got != nil {
			t.Errorf("%s: after an hour %v", row.name, got)
		}
		h.Observe(list(3, alice, bob), noon)
		if got := h.Alarms(noon); row.gone != nil && got != nil {
			t.Errorf("%s: back again, %v", row.name, got)
		}
	}
	var h revocation.History
	h.Observe(list(1, bob), noon)
	if gone := h.Observe(list(2), noon.Add(10*time.Minute)); gone != nil {
		t.Errorf("an expired entry: %v", gone)
	}
}

func TestAlarms(t *testing.T) {
	var h revocation.History
	if h.Alarms(noon) != nil {
		t.Error("an alarm about nothing")
	}
	h.Observe(parse(t, "serial: 9\nrevocations: [{issuer: i, kind: txn, value: t, expires: 2026-06-01T13:00:00Z}]"), noon)
	h.Observe(parse(t, "serial: 8\nrevocations: []"), noon)
	got := strings.Join(h.Alarms(noon), "\n")
	for _, part := range []string{"serial 8 after 9", "1 entries vanished before they expire: txn t of i at 2026-06-01T12:00:00Z"} {
		if !strings.Contains(got, part) {
			t.Errorf("got %s, want %s", got, part)
		}
	}
	h.Observe(parse(t, "serial: 9\nrevocations: []"), noon)
	if got := h.Alarms(noon.Add(time.Hour)); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestEntriesOfUnknownIssuers(t *testing.T) {
	list := parse(t, strings.ReplaceAll(every, "value: t-1", "value: t-2")+`  - {issuer: z, kind: txn, value: t, expires: 2026-06-01T12:06:00Z}
  - {issuer: b, kind: txn, value: t, expires: 2026-06-01T12:06:00Z}
  - {issuer: z, kind: txn, value: u, expires: 2026-06-01T12:06:00Z}
`)
	if unknown, entries := list.UnknownIssuers([]string{issuer}); !slices.Equal(unknown, []string{"b", "z"}) || entries != 3 {
		t.Errorf("got %v, %d", unknown, entries)
	}
	if unknown, entries := list.UnknownIssuers([]string{issuer, "b", "z", "y"}); unknown != nil || entries != 0 {
		t.Errorf("got %v, %d", unknown, entries)
	}
}
