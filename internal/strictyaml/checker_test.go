package strictyaml

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type section struct {
	Name    string        `yaml:"name"`
	Mode    string        `yaml:"mode"`
	Dir     string        `yaml:"dir"`
	Address string        `yaml:"address"`
	Count   int           `yaml:"count"`
	Wait    time.Duration `yaml:"wait"`
	List    []string      `yaml:"list"`
}

type sections struct {
	First  section   `yaml:"first"`
	Others []section `yaml:"others"`
}

func newChecker(t *testing.T, text string) (*Checker, *sections) {
	t.Helper()
	c := new(sections)
	checker, err := NewChecker("f.yaml", []byte(text), c)
	if err != nil {
		t.Fatal(err)
	}
	return checker, c
}

func wantProblems(t *testing.T, err error, want ...string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if want := strings.Join(want, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRequirementsRecordProblems(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	v, c := newChecker(t, "first: {name: '', mode: on, address: 'localhost:1', count: 7, wait: 3s, list: []}\nothers:\n  - name: x\n")
	at := Path{"first"}
	for name, answer := range map[string]bool{
		"empty text":   v.RequireText(at.With("name"), c.First.Name),
		"missing text": v.RequireText(Path{"others", 0, "mode"}, c.Others[0].Mode),
		"mode":         v.RequireOneOf(at.With("mode"), c.First.Mode, "a", "b", "c"),
		"count":        RequireRange(v, at.With("count"), c.First.Count, 8, 9),
		"wait":         RequireRange(v, at.With("wait"), c.First.Wait, time.Second, 2*time.Second),
		"empty list":   v.RequireEntries(at.With("list"), len(c.First.List)),
		"optional":     v.RequireEntriesIfPresent(at.With("list"), len(c.First.List)),
		"missing list": v.RequireEntries(Path{"others", 0, "list"}, 0),
		"absent dir":   v.RequireDir(at, file+".absent"),
		"file as dir":  v.RequireDir(at, file),
	} {
		if answer {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, ok := v.RequireAddress(at.With("address"), c.First.Address); ok {
		t.Error("accepted a name as an address")
	}
	v.RejectIfPresent(at.With("mode"), "unused: remove it")
	v.RejectIfPresent(at.With("dir"), "unused: remove it")
	for _, want := range []string{
		"f.yaml:1:15: first.name: empty\n",
		"f.yaml:1:25: first.mode: want a, b or c, not \"on\"\n",
		"f.yaml:1:25: first.mode: unused: remove it\n",
		"f.yaml:1:38: first.address: want IP:PORT, such as 127.0.0.1:9000, not \"localhost:1\"\n",
		"f.yaml:1:60: first.count: want 8 to 9, not 7\n",
		"f.yaml:1:69: first.wait: want 1s to 2s, not 3s\n",
		"f.yaml:1:79: first.list: empty: give at least one entry\n",
		"f.yaml:1:8: first: stat " + file + ".absent: no such file or directory\n",
		"f.yaml:1:8: first: " + file + " is a file: name the folder that holds it\n",
		"f.yaml:3:5: others[0].mode: missing\n",
		"f.yaml:3:5: others[0].list: missing: give at least one entry\n",
	} {
		if got := v.Err().Error() + "\n"; !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if got := len(AsProblems(v.Err())); got != 12 {
		t.Errorf("%d problems: %v", got, v.Err())
	}
}

func TestRequirementsAccept(t *testing.T) {
	v, c := newChecker(t, "first: {name: x, mode: b, address: '127.0.0.1:80', count: 8, wait: 2s, list: [x]}\n")
	at := Path{"first"}
	address, ok := v.RequireAddress(at.With("address"), c.First.Address)
	if !ok || address.Port() != 80 || !v.RequireText(at.With("name"), c.First.Name) || !v.RequireOneOf(at.With("mode"), c.First.Mode, "a", "b") ||
		!RequireRange(v, at.With("count"), c.First.Count, 8, 9) || !RequireRange(v, at.With("wait"), c.First.Wait, time.Second, 2*time.Second) ||
		!v.RequireEntries(at.With("list"), 1) || !v.RequireEntriesIfPresent(at.With("none"), 0) || !v.RequireDir(at, t.TempDir()) {
		t.Error("rejected")
	}
	wantProblems(t, v.Err())
}

// A value that could not be read is not checked: the decoded value differs from the file.
func TestOneMessageForOneMistake(t *testing.T) {
	for text, want := range map[string][]string{
		"first: {count: soon, mode: x}": {ofCount("1:16", `want a whole number, not the text "soon"`), "f.yaml:1:28: first.mode: checked"},
		"first: {count: {a: b}}":        {ofCount("1:16", "want a whole number, not a mapping"), "f.yaml:1:8: first.mode: checked"},
		"first: 7":                      {"f.yaml:1:8: first: want a mapping with the keys address, count, dir, list, mode, name, wait, not the number 7"},
		"first:":                        {"f.yaml:1:7: first has no value: remove it or give it one"},
		"first: {count: '${N}'}": {
			ofCount("1:16", `want a whole number, not the text "${N}"`),
			"f.yaml:1:16: first.count: ${N} is not expanded here: write the value itself, or replace it before the program starts; no key of this file takes variables",
			"f.yaml:1:8: first.mode: checked",
		},
		"first:\n  count: 1\n  mode: x\n  count: 2\n": {`f.yaml:4:3: key "count" is in line 2 too: keep one of them`},
		"first: {count: 1, mode: x, count: 2}":        {`f.yaml:1:28: key "count" is in line 1 too: keep one of them`},
		"first: {mode: x}\nfirst: {mode: y}":          {`f.yaml:2:1: key "first" is in line 1 too: keep one of them`},
	} {
		v, _ := newChecker(t, text)
		v.Reject(Path{"first", "count"}, "checked")
		v.Reject(Path{"first", "mode"}, "checked")
		got := strings.Split(v.Err().Error(), "\n")
		for _, line := range want {
			if !strings.Contains(v.Err().Error()+"\n", line+"\n") {
				t.Errorf("%s: no %s in\n%v", text, line, v.Err())
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d problems, want %d:\n%v", text, len(got), len(want), v.Err())
		}
	}
}

func ofCount(place, message string) string { return "f.yaml:" + place + ": count: " + message }

func TestProblemsOfOtherFiles(t *testing.T) {
	v, _ := newChecker(t, "first: {dir: x}\n")
	at := Path{"first", "dir"}
	other := Problems{{Position: Position{Line: 3}, Message: "wrong"}}
	v.RejectError(at, InFile("other.yaml", other))
	v.RejectError(at, InFile("other.pem", errors.New("no key")))
	v.RejectError(at, InFile("fine", nil))
	v.RejectError(at, Problems{{File: "third.yaml", Message: "odd"}})
	v.RejectError(at, errors.New("too late"))
	v.RejectError(at, nil)
	wantProblems(t, v.Err(), "f.yaml:1:14: first.dir: other.pem: no key", "f.yaml:1:14: first.dir: too late", "other.yaml:3: wrong", "third.yaml: odd")
}

// A part that could not be read hides no problem of another part, also if it was found by a checker
// of its own.
func TestProblemsOfOtherValuesAreKept(t *testing.T) {
	v, _ := newChecker(t, "first:\n  count: soon\n  mode: x\n")
	part := v.WithoutProblems()
	part.Reject(Path{"first", "count"}, "hidden")
	part.Reject(Path{"first", "mode"}, "kept")
	v.RejectError(Path{"first"}, part.ErrOfValues())
	v.RejectError(Path{"first", "count"}, v.ErrorAt(Path{"first", "count"}, errors.New("hidden")))
	wantProblems(t, v.Err(), `f.yaml:2:10: count: want a whole number, not the text "soon"`, "f.yaml:3:9: first.mode: kept")
}

func TestACheckerWithoutProblems(t *testing.T) {
	v, _ := newChecker(t, "first: {dir: x, kount: 1}\n")
	v.Reject(Path{"first", "dir"}, "checked")
	wantProblems(t, v.ErrOfValues(), "f.yaml:1:14: first.dir: checked")
	again := v.WithoutProblems()
	wantProblems(t, again.ErrOfValues())
	again.Reject(Path{"first", "kount"}, "hidden, as the key is unknown")
	if again.Err() == nil || strings.Count(v.Err().Error(), "\n") != 1 {
		t.Errorf("got %v and %v", again.Err(), v.Err())
	}
}

func TestPathsDoNotShareMemory(t *testing.T) {
	base := make(Path, 1, 8)
	base[0] = "trust"
	a, b := base.With(0, "issuer"), base.With(1, "jwks", "file")
	if a.String() != "trust[0].issuer" || b.String() != "trust[1].jwks.file" || base.String() != "trust" {
		t.Errorf("got %s, %s and %s", a, b, base)
	}
}

func TestRelativePathsOfAConfiguration(t *testing.T) {
	v, err := NewChecker("/etc/meshpass/edge.yaml", []byte("first: {}"), new(sections))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.ResolvePath("keys"); got != "/etc/meshpass/keys" {
		t.Errorf("relative: %s", got)
	}
	if got := v.ResolvePath("/keys"); got != "/keys" {
		t.Errorf("absolute: %s", got)
	}
}

func TestAsProblems(t *testing.T) {
	problems := Problems{{Message: "a"}, {Message: "b"}}
	for name, row := range map[string]struct {
		err  error
		want int
	}{"none": {nil, 0}, "problems": {problems, 2}, "wrapped": {errors.Join(errors.New("x"), problems), 2}, "other": {errors.New("x"), 1}} {
		if got := AsProblems(row.err); len(got) != row.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestContentThatIsNoYAML(t *testing.T) {
	_, err := NewChecker("f.yaml", nil, new(sections))
	wantProblems(t, err, "f.yaml: the file is empty")
}
