package audittest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/meshpass/meshpass/shared/audit"
)

var compiledSchema = sync.OnceValue(func() *jsonschema.Schema {
	const address = "audit-record.json"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat = true
	if err := compiler.AddResource(address, bytes.NewReader(audit.Schema)); err != nil {
		panic(err)
	}
	return compiler.MustCompile(address)
})

// CheckLine returns an error if a line is not a record or a gap by [audit.Schema].
func CheckLine(line []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	var invalid *jsonschema.ValidationError
	if err := compiledSchema().Validate(value); errors.As(err, &invalid) {
		return errors.New(strings.Join(causesOf(invalid), "; "))
	}
	return nil
}

// causesOf returns the innermost causes, each with the field that it is about.
func causesOf(invalid *jsonschema.ValidationError) (all []string) {
	for _, cause := range invalid.Causes {
		all = append(all, causesOf(cause)...)
	}
	if len(invalid.Causes) == 0 {
		field := strings.TrimPrefix(invalid.InstanceLocation, "/")
		all = append(all, strings.TrimPrefix(field+": "+invalid.Message, ": "))
	}
	return all
}

// CheckLines checks each line of an audit trail with [CheckLine].
func CheckLines(t testing.TB, trail string) {
	t.Helper()
	for _, line := range strings.Split(trail, "\n") {
		if line == "" {
			continue
		}
		if err := CheckLine([]byte(line)); err != nil {
			t.Errorf("not an audit record: %v: %s", err, line)
		}
	}
}

// CheckFiles checks the audit trails in all files that match a pattern of [filepath.Match]: at least one
// must. It is for programs that have ended. A pipe holds no trail.
func CheckFiles(t testing.TB, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Errorf("%s: no audit trail, %v", pattern, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if !info.Mode().IsRegular() {
			continue
		}
		trail, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		CheckLines(t, string(trail))
	}
}
