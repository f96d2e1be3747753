package requesttrace_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/itchyny/gojq"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
	"github.com/meshpass/meshpass/shared/audit"
)

const (
	page = "../../../docs/observability.md"
	logs = "path/testdata/shop"
	txn  = "01a22aea-e353-79a5-977c-bc4e27c98ba4"
)

func readPage(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// allLines are all lines of the demo's logs, and lines that are no objects of JSON.
func allLines(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(logs, "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatal("no logs", err)
	}
	all := "[2026-11-30 05:24:19][warning] starting\n\n7\n[\"txn\"]\nnull\n"
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(data)
	}
	return all
}

// Each query of the page finds in real logs what the text above it says: by jq, where the machine has it, and by gojq.
func TestQueries(t *testing.T) {
	queries := regexp.MustCompile("(?s)```jq\n(.*?)\n```").FindAllStringSubmatch(readPage(t), -1)
	if len(queries) != 5 {
		t.Fatalf("the page has %d queries, want 5", len(queries))
	}
	input := allLines(t)
	var text strings.Builder
	for _, query := range queries {
		answer := runGojq(t, query[1], input)
		text.WriteString(answer + "\n")
		if _, err := exec.LookPath("jq"); err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "jq", "-nrR", "--arg", "txn", txn, query[1])
		cmd.Stdin = strings.NewReader(input)
		if output, err := cmd.CombinedOutput(); err != nil || string(output) != answer {
			t.Errorf("%s\njq answers %v\n%sgojq answers\n%s", query[1], err, output, answer)
		}
	}
	golden.CompareFile(t, "queries.txt", text.String())
}

// runGojq is jq -nrR.
func runGojq(t *testing.T, query, input string) string {
	t.Helper()
	parsed, err := gojq.Parse(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	code, err := gojq.Compile(parsed, gojq.WithVariables([]string{"$txn"}), gojq.WithInputIter(&inputs{strings.Split(strings.TrimSuffix(input, "\n"), "\n")}))
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	var text strings.Builder
	for values := code.Run(nil, txn); ; {
		value, more := values.Next()
		if !more {
			return text.String()
		}
		switch value := value.(type) {
		case error:
			t.Fatalf("%s: %v", query, value)
		case string:
			text.WriteString(value + "\n")
		default:
			data, err := gojq.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(data, '\n'))
		}
	}
}

// inputs are lines, as texts.
type inputs struct{ lines []string }

func (i *inputs) Next() (any, bool) {
	if len(i.lines) == 0 {
		return nil, false
	}
	line := i.lines[0]
	i.lines = i.lines[1:]
	return line, true
}

// tableAfter returns the cells of the first table behind a heading, without its head.
func tableAfter(t *testing.T, heading string) (rows [][]string) {
	t.Helper()
	_, text, found := strings.Cut(readPage(t), heading+"\n")
	if !found {
		t.Fatalf("the page has no %s", heading)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "|"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		case len(rows) > 0:
			return rows[2:]
		}
	}
	return rows[2:]
}

var code = regexp.MustCompile("`([^`]+)`")

// Every field of the tables is one of the log that its column names: of the audit record's schema, of the shipped format of
// Envoy's access log, and of Tyk's. Every field of an audit record has names in ECS and OCSF.
func TestFields(t *testing.T) {
	var schema struct {
		Defs struct {
			Decision struct{ Properties map[string]any }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(audit.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile("../../../manifests/istio/install.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tyk, err := os.ReadFile(filepath.Join(logs, "tyk.log"))
	if err != nil {
		t.Fatal(err)
	}
	inAudit := func(field string) bool { return schema.Defs.Decision.Properties[field] != nil }
	inEnvoy := func(field string) bool { return bytes.Contains(shipped, []byte(`        "`+field+`": "%`)) }
	inTyk := func(field string) bool { return bytes.Contains(tyk, []byte(`"`+field+`":`)) }
	for _, row := range tableAfter(t, "## Fields side by side") {
		for i, holds := range []func(string) bool{inTyk, inAudit, inEnvoy, inAudit} {
			for _, field := range code.FindAllStringSubmatch(row[i+1], -1) {
				if !holds(field[1]) {
					t.Errorf("row %s: column %d has no field %s", row[0], i+1, field[1])
				}
			}
		}
	}
	var mapped []string
	for _, row := range tableAfter(t, "## Names in ECS and OCSF") {
		mapped = append(mapped, strings.Trim(row[0], "`"))
		if row[1] == "" || row[2] == "" {
			t.Errorf("%s has no name", row[0])
		}
	}
	for field := range schema.Defs.Decision.Properties {
		if !slices.Contains(mapped, field) {
			t.Errorf("%s is not in the table of ECS and OCSF", field)
		}
	}
	if len(mapped) != len(schema.Defs.Decision.Properties) {
		t.Errorf("the table has %d fields, and the schema %d", len(mapped), len(schema.Defs.Decision.Properties))
	}
}

// The example of the page is the answer for logs of the demo.
func TestExample(t *testing.T) {
	want, err := os.ReadFile("path/testdata/inside.txt")
	if err != nil {
		t.Fatal(err)
	}
	way, _, _ := strings.Cut(string(want), "\nread ")
	for line := range strings.Lines(way) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.Contains(readPage(t), "    "+line+"\n") {
			t.Errorf("the page does not have the line %q", line)
		}
	}
}
