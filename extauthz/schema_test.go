package extauthz_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/policy/source"
)

// The published schema takes the documents that the loader takes, and refuses those
// whose form the loader refuses: shared/policy/source checks the same files.
func TestTheSchemaOfPolicies(t *testing.T) {
	schema := policySchema(t)
	documents, err := filepath.Glob("internal/check/testdata/policies/*.yaml")
	if err != nil || len(documents) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	const shared = "../shared/policy/source/testdata/"
	for _, file := range append(documents, shared+"accepted.yaml", shared+"refused.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range strings.Split(string(data), "---\n") {
			var document any
			if err := yaml.Unmarshal([]byte(text), &document); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			err := schema.Validate(document)
			if refused := filepath.Base(file) == "refused.yaml"; (err != nil) != refused {
				t.Errorf("%s: %s: %v", file, strings.SplitN(text, "\n", 2)[0], err)
			}
		}
	}
}

func policySchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(source.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("accesspolicy.json", parsed); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("accesspolicy.json")
}
