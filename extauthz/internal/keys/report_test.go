package keys_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
)

// printed is the report with the names of keys in place of their thumbprints.
func printed(r keys.Report, dir string, kids ...string) string {
	var b bytes.Buffer
	r.Print(&b)
	text := strings.ReplaceAll(b.String(), dir, "DIR")
	for i, kid := range kids {
		text = strings.ReplaceAll(text, kid, "KEY"+string(rune('1'+i)))
	}
	return text
}

func TestWhatPeopleAreTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	out := filepath.Join(filepath.Dir(dir), "jwks.json")
	var kids []string
	step := func(name string, r keys.Report, err error, want string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Made != "" {
			kids = append(kids, r.Made)
		}
		if got := strings.ReplaceAll(printed(r, dir, kids...), out, "FILE"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
	const ofFirst = `now:     KEY1 (ES256) signs
2026-06-02T12:00:00Z  KEY1 stops signing
2026-06-02T13:06:00Z  KEY1 leaves the published set
note:    after 2026-06-02T12:00:00Z no key signs: make the next one at least its lead before that
`
	r, err := keys.AddKey(signsFirst(dir))
	step("the first key", r, err, "made key KEY1 in DIR\n"+ofFirst+
		"note:    publish it now: meshpass keys publish --dir DIR --out FILE, and give FILE to every authorizer\n"+
		"note:    it signs at once: authorizers reject its tokens (kid_unknown) until they have FILE\n")
	r, err = keys.AddKey(signsFirst(dir))
	step("the first key, again", r, err, "nothing to do: key KEY1 in DIR signs\n"+ofFirst)

	const changes = "note:    publish again after every new key, and after 2026-06-02T13:06:00Z, when the set changes by itself\n"
	r, err = keys.Publish(dir, out, noon)
	step("publish", r, err, "wrote FILE\nadded:   KEY1\n"+ofFirst+changes)
	r, err = keys.Publish(dir, out, noon)
	step("publish again", r, err, "nothing to do: FILE is up to date\n"+ofFirst+changes)

	const ofBoth = `now:     KEY1 (ES256) signs
2026-06-02T11:00:00Z  KEY2 starts to sign, and older keys stop
2026-06-02T12:00:00Z  KEY1 stops signing
2026-06-02T13:06:00Z  KEY1 leaves the published set
2026-06-03T11:00:00Z  KEY2 stops signing
2026-06-03T12:06:00Z  KEY2 leaves the published set
note:    after 2026-06-03T11:00:00Z no key signs: make the next one at least its lead before that
`
	later := noon.Add(22 * time.Hour)
	r, err = keys.AddKey(asked(dir, later))
	step("the next key", r, err, "made key KEY2 in DIR\n"+ofBoth+
		"note:    publish it now: meshpass keys publish --dir DIR --out FILE, and give FILE to every authorizer\n")
	r, err = keys.AddKey(asked(dir, later.Add(time.Minute)))
	step("the next key, again", r, err, "nothing to do: key KEY2 in DIR waits to sign at 2026-06-02T11:00:00Z\n"+ofBoth)
	r, err = keys.Publish(dir, out, later)
	step("publish both", r, err, "wrote FILE\nadded:   KEY2\n"+ofBoth+changes)

	r, err = keys.Publish(dir, out, noon.Add(26*time.Hour))
	step("the first key is gone", r, err, `wrote FILE
removed: KEY1
now:     KEY2 (ES256) signs
2026-06-03T11:00:00Z  KEY2 stops signing
2026-06-03T12:06:00Z  KEY2 leaves the published set
note:    after 2026-06-03T11:00:00Z no key signs: make the next one at least its lead before that
note:    publish again after every new key, and after 2026-06-03T12:06:00Z, when the set changes by itself
`)
}

func TestGapsAreTold(t *testing.T) {
	dir := t.TempDir()
	make1(t, signsFirst(dir))                    // signs until 24 hours past noon
	make1(t, asked(dir, noon.Add(30*time.Hour))) // signs from 31 hours past noon, until 55
	for _, row := range []struct {
		after time.Duration
		want  string
	}{
		{time.Hour, "from 2026-06-02T12:00:00Z to 2026-06-02T19:00:00Z no key signs: gateways will deny every request with 503 no_signing_key"},
		{24*time.Hour + time.Minute, "no key signs before 2026-06-02T19:00:00Z: until then gateways deny every request with 503 no_signing_key"},
		{32 * time.Hour, "after 2026-06-03T19:00:00Z no key signs: make the next one at least its lead before that"},
		{55 * time.Hour, "no key signs, now or later: gateways deny every request with 503 no_signing_key; run meshpass keys new"},
	} {
		r, err := keys.Publish(dir, filepath.Join(t.TempDir(), "jwks.json"), noon.Add(row.after))
		if err != nil || r.Notes[0] != row.want {
			t.Errorf("after %v: got %v, %v", row.after, r.Notes, err)
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	dir := t.TempDir()
	r, err := keys.AddKey(signsFirst(dir))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(strings.ReplaceAll(string(data), r.Made, "KEY"), dir, "DIR")
	want := `{"in":"DIR","changed":true,"made":"KEY","keys":[{"kid":"KEY","algorithm":"ES256","state":"signing","publishAt":"2026-06-01T12:00:00Z",` +
		`"signFrom":"2026-06-01T12:00:00Z","signUntil":"2026-06-02T12:00:00Z","removeAfter":"2026-06-02T13:06:00Z"}],` +
		`"next":[{"at":"2026-06-02T12:00:00Z","kid":"KEY","what":"stops signing"},{"at":"2026-06-02T13:06:00Z","kid":"KEY","what":"leaves the published set"}],"notes":[`
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
