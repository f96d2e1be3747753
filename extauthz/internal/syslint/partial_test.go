package syslint_test

import (
	"fmt"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/syslint"
)

// partialRuns bounds how many values TestPartialObjects replaces.
const partialRuns = 120

// A value that is missing, null or of another kind never ends the check: with such objects, every finding still has a place.
func TestPartialObjects(t *testing.T) {
	count := 0
	for _, title := range newInstallation(t).order {
		count += len(valuesOf(parseNode(t, newInstallation(t).texts[title])))
	}
	step, number := count/partialRuns+1, 0
	for _, title := range newInstallation(t).order {
		for i := range valuesOf(parseNode(t, newInstallation(t).texts[title])) {
			if number++; number%step != 0 {
				continue
			}
			in := newInstallation(t)
			root := parseNode(t, in.texts[title])
			value := valuesOf(root)[i]
			*value = []yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!null"}, {Kind: yaml.SequenceNode}, {Kind: yaml.MappingNode}, {Kind: yaml.ScalarNode, Value: "x"}}[number/step%4]
			text, err := yaml.Marshal(root)
			if err != nil {
				t.Fatal(err)
			}
			in.texts[title] = string(text)
			t.Run(fmt.Sprint(title, " ", i), func(t *testing.T) {
				for _, f := range syslint.Run(in.read(t)).Findings {
					if f.Place.Source == "the input" {
						t.Errorf("%s has no place: %s", f.Code, f.Message)
					}
				}
			})
		}
	}
}

func parseNode(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	return &root
}

// valuesOf are all values below a document, without the keys.
func valuesOf(n *yaml.Node) (all []*yaml.Node) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			continue
		}
		all = append(append(all, child), valuesOf(child)...)
	}
	return all
}
