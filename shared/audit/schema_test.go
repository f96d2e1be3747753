package audit_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
)

// schema is as much of the published schema as these tests compare with the code.
type schema struct {
	Defs struct {
		Decision    object
		Gap         object
		Checkpoint  object
		Reason      enum
		AllowReason enum
	} `json:"$defs"`
}

type object struct {
	Required   []string
	Properties map[string]struct {
		enum
		Items enum
	}
}

type enum struct{ Enum []string }

func readSchema(t *testing.T) (s schema) {
	t.Helper()
	if err := json.Unmarshal(audit.Schema, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The schema has every field that a line can have, and no other one. A field that may be absent is not required.
func TestTheSchemaHasEveryField(t *testing.T) {
	s := readSchema(t)
	for _, row := range []struct {
		name   string
		schema object
		line   reflect.Type
	}{{"record", s.Defs.Decision, reflect.TypeFor[audit.Record]()}, {"gap", s.Defs.Gap, reflect.TypeFor[audit.Gap]()}, {"checkpoint", s.Defs.Checkpoint, reflect.TypeFor[audit.Checkpoint]()}} {
		var all, required, published []string
		for _, field := range reflect.VisibleFields(row.line) {
			if field.Anonymous {
				continue
			}
			name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" {
				continue
			}
			all = append(all, name)
			if option != "omitempty" {
				required = append(required, name)
			}
		}
		if row.name != "checkpoint" { // a chain adds its fields to each line
			all = append(all, "chain", "seq", "prev")
		}
		for name := range row.schema.Properties {
			published = append(published, name)
		}
		slices.Sort(all)
		slices.Sort(published)
		if !slices.Equal(published, all) {
			t.Errorf("%s: the schema has %v\nthe code %v", row.name, published, all)
		}
		if !slices.Equal(row.schema.Required, required) {
			t.Errorf("%s: the schema requires %v, the code writes %v", row.name, row.schema.Required, required)
		}
	}
}

// The lists of the schema are those of the code.
func TestTheSchemaHasEveryValue(t *testing.T) {
	s := readSchema(t)
	var allowing, causes []string
	reasons := []string{""} // of the zero decision, which denies
	for _, reason := range decision.Reasons() {
		reasons = append(reasons, string(reason))
		if reason.Class() == decision.Allowed {
			allowing = append(allowing, string(reason))
		}
	}
	for _, cause := range append(logqueue.Causes(), audit.Suppressed, audit.Sampled) {
		causes = append(causes, string(cause))
	}
	for _, row := range []struct {
		name      string
		got, want []string
	}{
		{"reasons", s.Defs.Reason.Enum, reasons},
		{"reasons of an allow", s.Defs.AllowReason.Enum, allowing},
		{"causes", s.Defs.Gap.Properties["cause"].Enum, causes},
		{"masked fields", s.Defs.Decision.Properties["masked"].Items.Enum, audit.MaskableFields()},
		{"kinds", append(s.Defs.Decision.Properties["kind"].Enum, "gap"), []string{string(audit.KindIssue), string(audit.KindEdge), string(audit.KindCheck), string(audit.KindGap)}},
	} {
		if !slices.Equal(row.got, row.want) {
			t.Errorf("%s: the schema has %v\nthe code %v", row.name, row.got, row.want)
		}
	}
}

// What is no record does not match: the check that all tests of records use can fail.
func TestLinesThatAreNoRecords(t *testing.T) {
	const record = `"time":"2026-06-01T12:00:00Z","kind":"check","id":"1","decision":"deny","reason":"no_rule","duration_us":1`
	const gap = `"time":"2026-06-01T12:00:00Z","kind":"gap","id":"00000000000000000000000000000000","cause":"no_space","count":1,"since":"2026-06-01T12:00:00Z"`
	for _, row := range []struct {
		name, line string
		valid      bool
	}{
		{"a record", `{` + record + `}`, true},
		{"a gap", `{` + gap + `}`, true},
		{"an additional field", `{` + record + `,"more":1}`, false},
		{"an additional field of a gap", `{` + gap + `,"sub":"a"}`, false},
		{"no reason", `{` + strings.Replace(record, `"reason":"no_rule",`, "", 1) + `}`, false},
		{"an unknown reason", `{` + strings.Replace(record, "no_rule", "because", 1) + `}`, false},
		{"an allow for the reason of a denial", `{` + strings.Replace(record, "deny", "allow", 1) + `}`, false},
		{"a denial for the reason of an allow", `{` + strings.Replace(record, "no_rule", "public", 1) + `}`, false},
		{"a local time", `{` + strings.Replace(record, "00Z", "00+01:00", 1) + `}`, false},
		{"no time", `{` + strings.Replace(record, "2026-06-01T12:00:00Z", "todayZ", 1) + `}`, false},
		{"an unknown kind", `{` + strings.Replace(record, "check", "hop", 1) + `}`, false},
		{"an empty field", `{` + record + `,"sub":""}`, false},
		{"a gap of nothing", `{` + strings.Replace(gap, `"count":1`, `"count":0`, 1) + `}`, false},
		{"an unknown cause", `{` + strings.Replace(gap, "no_space", "tired", 1) + `}`, false},
		{"half a line", `{` + record, false},
	} {
		if err := audittest.CheckLine([]byte(row.line)); (err == nil) != row.valid {
			t.Errorf("%s: got %v", row.name, err)
		}
	}
}
