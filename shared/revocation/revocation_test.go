package revocation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const issuer = "https://tyk.example.com"

func parse(t testing.TB, document string) *revocation.List {
	t.Helper()
	list, err := revocation.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func token() revocation.Token {
	return revocation.Token{Issuer: issuer, Txn: "t-1", SID: "s-1", Subject: "okta:alice", KeyID: "k-1", Issued: noon}
}

const every = `
revocations:
  - {issuer: "https://tyk.example.com", kind: txn, value: t-1, expires: 2026-06-01T12:06:00Z}
  - {issuer: "https://tyk.example.com", kind: sid, value: s-2, notBefore: 2026-06-01T12:00:00Z, expires: 2026-06-01T12:06:00Z}
  - {issuer: "https://tyk.example.com", kind: sub, value: "okta:bob", notBefore: 2026-06-01T12:00:00Z, expires: 2026-06-01T12:06:00Z}
  - {issuer: "https://tyk.example.com", kind: kid, value: k-2, expires: 2026-06-01T12:06:00Z, by: ops, reason: leaked}
`

func TestRevokes(t *testing.T) {
	list := parse(t, every)
	at := func(change func(*revocation.Token)) revocation.Token {
		other := token()
		other.Txn = "t-9"
		change(&other)
		return other
	}
	for _, row := range []struct {
		name  string
		token revocation.Token
		now   time.Time
		want  bool
	}{
		{"nothing of it is listed", at(func(*revocation.Token) {}), noon, false},
		{"transaction", token(), noon, true},
		{"transaction of another issuer", at(func(k *revocation.Token) { k.Txn, k.Issuer = "t-1", "https://other" }), noon, false},
		{"transaction whose entry has expired", token(), noon.Add(6 * time.Minute), false},
		{"session, issued at notBefore", at(func(k *revocation.Token) { k.SID = "s-2" }), noon, true},
		{"session, issued before", at(func(k *revocation.Token) { k.SID, k.Issued = "s-2", noon.Add(-time.Second) }), noon, true},
		{"session, issued later", at(func(k *revocation.Token) { k.SID, k.Issued = "s-2", noon.Add(time.Second) }), noon, false},
		{"user", at(func(k *revocation.Token) { k.Subject = "okta:bob" }), noon, true},
		{"user, issued later", at(func(k *revocation.Token) { k.Subject, k.Issued = "okta:bob", noon.Add(time.Second) }), noon, false},
		{"user in other letters", at(func(k *revocation.Token) { k.Subject = "okta:Bob" }), noon, false},
		{"key, whenever", at(func(k *revocation.Token) { k.KeyID, k.Issued = "k-2", noon.Add(time.Hour) }), noon, true},
		{"a value of another kind", at(func(k *revocation.Token) { k.SID = "okta:bob" }), noon, false},
	} {
		if got := list.Revokes(row.token, row.now); got != row.want {
			t.Errorf("%s: got %v", row.name, got)
		}
	}
	if new(revocation.List).Revokes(token(), noon) {
		t.Error("the empty list revokes")
	}
}

func TestParseRefuses(t *testing.T) {
	entry := func(rest string) string { return "revocations: [{issuer: i, " + rest + "}]" }
	for document, want := range map[string]string{
		"":                                  "the file is empty",
		"serial: 1":                         "revocations is missing",
		"revocations: {}":                   "revocations: want a list, not a mapping",
		"revocations: [] \nrevocatoins: []": `unknown key "revocatoins"`,
		"serial: 9007199254740993\nrevocations: []":                                                  "serial: want at most",
		"serial: -1\nrevocations: []":                                                                "-1",
		"revocations: [{kind: txn, value: x, expires: 2026-06-01T12:00:00Z}]":                        "issuer: want",
		entry("kind: user, value: x, expires: 2026-06-01T12:00:00Z"):                                 `kind "user": want txn, sid, sub or kid`,
		entry("kind: txn, value: '', expires: 2026-06-01T12:00:00Z"):                                 "value: want",
		entry(`kind: txn, value: "a\nb", expires: 2026-06-01T12:00:00Z`):                             "value: want",
		entry("kind: txn, value: x"):                                                                 "expires is missing",
		entry("kind: sub, value: x, expires: 2026-06-01T12:00:00Z"):                                  "notBefore is missing",
		entry("kind: sub, value: x, notBefore: 2026-06-01T12:00:00Z, expires: 2026-06-01T12:00:00Z"): "expires is not after notBefore",
		entry("kind: kid, value: x, notBefore: 2026-06-01T12:00:00Z, expires: 2026-06-01T13:00:00Z"): "notBefore is for sid and sub",
		entry("kind: txn, value: x, expires: tomorrow"):                                              "tomorrow",
		entry("kind: txn, value: x, expires: 2026-06-01T12:00:00Z, by: " + strings.Repeat("b", 300)): "by, reason: want",
		strings.Replace(every, "t-1", "&a t-1", 1):                                                   "anchors",
		every + strings.Split(every, "\n")[2]:                                                        "is listed twice",
		"revocations: [" + strings.Repeat("{},", revocation.MaxEntries+1) + "]":                      "the list is full",
		"# " + strings.Repeat("x", revocation.MaxBytes):                                              "the list is full",
	} {
		if list, err := revocation.Parse([]byte(document)); list != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %s", document, err, want)
		}
	}
}

// JSON is read too, and a written document is read as the same list.
func TestDocument(t *testing.T) {
	list := parse(t, every)
	again := parse(t, string(list.Document()))
	if fmt.Sprint(again.Entries()) != fmt.Sprint(list.Entries()) {
		t.Errorf("got %v\nwant %v", again.Entries(), list.Entries())
	}
	json := parse(t, `{"serial":3,"revocations":[{"issuer":"i","kind":"sub","value":"a:\u00e9\"","notBefore":"2026-06-01T12:00:00Z","expires":"2026-06-01T13:00:00Z"}]}`)
	if again := parse(t, string(json.Document())); json.Serial() != 3 || again.Entries()[0].Value != `a:é"` {
		t.Errorf("got %d, %v", json.Serial(), again.Entries())
	}
	if got := string(new(revocation.List).Document()); got != "serial: 0\nrevocations: []\n" {
		t.Errorf("got %s", got)
	}
}

// A token is revoked if one list revokes it, also if the lists are too old.
func TestChecker(t *testing.T) {
	list, none := parse(t, every), new(revocation.List)
	of := func(list *revocation.List) func() *revocation.List { return func() *revocation.List { return list } }
	stale := func(time.Time) bool { return true }
	other := token()
	other.Txn = "t-9"
	for _, row := range []struct {
		name    string
		checker revocation.Checker
		token   revocation.Token
		want    decision.Reason
	}{
		{"no list", revocation.Checker{}, token(), ""},
		{"the first list", revocation.Checker{Lists: []func() *revocation.List{of(list), of(none)}}, token(), decision.TokenRevoked},
		{"the second list", revocation.Checker{Lists: []func() *revocation.List{of(none), of(list)}}, token(), decision.TokenRevoked},
		{"not listed", revocation.Checker{Lists: []func() *revocation.List{of(list)}}, other, ""},
		{"stale", revocation.Checker{Lists: []func() *revocation.List{of(list)}, Stale: stale}, other, decision.RevocationStale},
		{"stale and listed", revocation.Checker{Lists: []func() *revocation.List{of(list)}, Stale: stale}, token(), decision.TokenRevoked},
	} {
		if got := row.checker.DenialReason(row.token, noon); got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(every))
	f.Add([]byte(`{"serial":1,"revocations":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := revocation.Parse(data)
		if err != nil {
			return
		}
		again, err := revocation.Parse(list.Document())
		if err != nil || fmt.Sprint(again.Entries()) != fmt.Sprint(list.Entries()) {
			t.Errorf("%v: got %v, want %v", err, again, list)
		}
	})
}
