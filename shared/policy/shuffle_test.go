package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// The order of files, of documents in them, of rules, of list entries and of keys has no
// effect: random documents, shuffled in all these ways, give the same decisions.
func TestOrderNeverMattersAnywhere(t *testing.T) {
	d := dice{rand.New(rand.NewSource(11))}
	for round := 0; round < 60; round++ {
		documents := []nDocument{d.document("a", false), d.document("b", false), d.document("c", false), d.document("d", false)}
		for i := range documents {
			documents[i].Spec.Public = documents[i].Spec.Public[:min(1, len(documents[i].Spec.Public))] // they are named by their place
		}
		want, err := (source.Loader{}).Load(render(t, documents, false))
		if err != nil {
			t.Fatal(err)
		}
		got, err := (source.Loader{}).Load(d.shuffled(t, documents))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 40; i++ {
			r := d.request()
			claims, refusal := d.token()
			auth := func() (*identity.Claims, decision.Reason) { return claims, refusal }
			if a, b := chain(want.Decide(r, auth)), chain(got.Decide(r, auth)); a != b {
				t.Fatalf("%+v: %s, shuffled %s", r, a, b)
			}
		}
	}
}

// shuffled writes the documents into two files in a random order of everything.
func (d dice) shuffled(t *testing.T, documents []nDocument) source.Dir {
	t.Helper()
	tree := fstest.MapFS{}
	for _, i := range d.Perm(len(documents)) {
		data, err := json.Marshal(documents[i])
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(data, &plain); err != nil {
			t.Fatal(err)
		}
		file := fmt.Sprint(d.Intn(2), ".yaml")
		if tree[file] == nil {
			tree[file] = &fstest.MapFile{}
		}
		tree[file].Data = append(tree[file].Data, "---\n"+d.written(plain)+"\n"...)
	}
	return source.Dir{Files: tree}
}

// written is YAML in flow style.
func (d dice) written(value any) string {
	var parts []string
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			parts = append(parts, fmt.Sprintf("%q: %s", key, d.written(member)))
		}
		d.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		for _, entry := range value {
			parts = append(parts, d.written(entry))
		}
		d.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		return "[" + strings.Join(parts, ", ") + "]"
	}
	data, _ := json.Marshal(value)
	return string(data)
}
