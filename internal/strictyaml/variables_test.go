package strictyaml

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

type place struct {
	Address string `yaml:"address" env:"expand"`
	Name    string `yaml:"name"`
}

type places struct {
	File   string            `yaml:"file" env:"expand"`
	Count  int               `yaml:"count" env:"expand"` // without effect: variables are for texts
	One    *place            `yaml:"one"`
	Many   []place           `yaml:"many"`
	Labels map[string]string `yaml:"labels"`
}

const expandedKeys = "file, many[].address, one.address"

func TestVariableKeys(t *testing.T) {
	want := strings.Split(expandedKeys, ", ")
	if got := VariableKeys(reflect.TypeFor[places]()); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A value is always a text: it is read neither as YAML nor for variables.
func TestVariablesAreExpandedOnce(t *testing.T) {
	for name, value := range map[string]string{
		"IP": "10.0.0.1", "NUMBER": "9000", "NULL": "null", "TILDE": "~", "BOOL": "true", "LIST": "[a, b]", "MAP": "a: b",
		"COMMENT": "a # b", "ALIAS": "*a", "QUOTE": `"`, "OTHER": "${IP}", "DOLLARS": "$${IP} $(IP)", "SPACES": " a ", "É": "x",
	} {
		t.Setenv(name, value)
	}
	for text, want := range map[string]string{
		"${IP}": "10.0.0.1", "${IP}:${NUMBER}": "10.0.0.1:9000", "a${NUMBER}b": "a9000b",
		"${NULL}": "null", "${TILDE}": "~", "${BOOL}": "true", "${LIST}": "[a, b]", "${MAP}": "a: b", "${COMMENT}": "a # b",
		"${ALIAS}": "*a", "${QUOTE}": `"`, "${OTHER}": "${IP}", "${DOLLARS}": "$${IP} $(IP)", "${SPACES}": " a ",
		"$${IP}": "${IP}", "$$${IP}": "$${IP}", "$IP": "$IP", "$": "$", "{IP}": "{IP}", "$${": "${", "$${}/${IP}": "${}/10.0.0.1",
	} {
		for _, quoted := range []string{"'" + text + "'", `"` + text + `"`} {
			c := new(places)
			checker, err := NewChecker("f.yaml", []byte("file: "+quoted+"\nmany:\n  - address: "+quoted), c)
			if err == nil {
				err = checker.Err()
			}
			if err != nil || c.File != want || c.Many[0].Address != want {
				t.Errorf("%s: got %q and %v, %v, want %q", quoted, c.File, c.Many, err, want)
			}
			again := new(places)
			checker.DecodeAgain(again)
			if again.File != want {
				t.Errorf("%s: decoded again: %q", quoted, again.File)
			}
		}
	}
}

func TestVariablesThatCannotBeExpanded(t *testing.T) {
	for name, value := range map[string]string{"EMPTY": "", "LINES": "a\nb: c", "NEWLINE": "secret\n", "ESCAPE": "\x1b[2J", "BYTES": "\xff", "IP": "10.0.0.1", "lower": "x"} {
		t.Setenv(name, value)
	}
	const hostile = " has a line break, another control character, or bytes that are not UTF-8"
	const want = ": write ${NAME}, with NAME in capital letters, digits and _, or $${ for the text ${ itself"
	for text, message := range map[string]string{
		"${MESHPASS_TEST_UNSET}": "the environment variable MESHPASS_TEST_UNSET is not set",
		"${EMPTY}":               "the environment variable EMPTY is empty",
		"${IP}${EMPTY}":          "the environment variable EMPTY is empty",
		"${LINES}":               "the environment variable LINES" + hostile,
		"${NEWLINE}":             "the environment variable NEWLINE" + hostile,
		"${ESCAPE}":              "the environment variable ESCAPE" + hostile,
		"${BYTES}":               "the environment variable BYTES" + hostile,
		"${lower}":               "${lower} is no variable" + want,
		"${IP:-x}":               "${IP:-x} is no variable" + want,
		"${}":                    "${} is no variable" + want,
		"${ IP }":                "${ IP } is no variable" + want,
		"${1P}":                  "${1P} is no variable" + want,
		"${IP":                   "${IP is no variable" + want,
		"$(IP)":                  "$(IP) is no variable" + want,
		"${${IP}}":               "${${IP} is no variable" + want,
	} {
		c := new(places)
		checker, err := NewChecker("f.yaml", []byte("one: {name: a, address: '"+text+"'}"), c)
		if err != nil {
			t.Fatal(err)
		}
		checker.RequireText(Path{"one", "address"}, c.One.Address) // a consequence
		wantProblems(t, checker.Err(), "f.yaml:1:25: one.address: "+message)
		if c.One.Address != "" {
			t.Errorf("%s: a part is used: %q", text, c.One.Address)
		}
	}
}

// All other values are used as they are written, or rejected.
func TestVariablesElsewhere(t *testing.T) {
	t.Setenv("X", "1")
	checker, err := NewChecker("f.yaml", []byte("count: '${X}'\none: {name: '${X}'}\nmany: [{name: 'a$(X)'}]\nlabels: {file: '${X}'}\nunknown: {file: ['$${X}']}\n"), new(places))
	if err != nil {
		t.Fatal(err)
	}
	const here = " is not expanded here: write the value itself, or replace it before the program starts; variables are expanded only in " + expandedKeys
	wantProblems(t, checker.Err(),
		`f.yaml:1:8: count: want a whole number, not the text "${X}"`,
		"f.yaml:1:8: count: ${X}"+here,
		"f.yaml:2:13: one.name: ${X}"+here,
		"f.yaml:3:15: many[0].name: $(X)"+here,
		"f.yaml:4:16: labels.file: ${X}"+here,
		`f.yaml:5:1: unknown key "unknown"; known here: count, file, labels, many, one`,
		"f.yaml:5:18: unknown.file[0]: ${X}"+here)
}
