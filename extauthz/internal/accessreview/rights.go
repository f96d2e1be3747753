package accessreview

import (
	"bytes"
	"os"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/policy"
)

// describeRights lists all rules with their text.
func describeRights(set *policy.Set) []Right {
	rights, files := []Right{}, map[string][]*yaml.Node{}
	for _, rule := range set.Rules() {
		if _, read := files[rule.File]; !read {
			files[rule.File] = readDocuments(rule.File)
		}
		right := Right{Policy: rule.Policy, Folder: rule.Folder, Rule: rule.Rule, Effect: rule.Effect, Mode: string(rule.Mode), File: rule.File, Line: rule.Line}
		for _, document := range files[rule.File] {
			if node := findNode(document, rule.Line); node != nil {
				right.Text, right.Targets = formatNode(node), formatNode(findField(findField(document, "spec"), "targets"))
			}
		}
		rights = append(rights, right)
	}
	return rights
}

// readDocuments reads a file of documents that the engine has accepted. A file that cannot be read here, such as standard
// input, gives rules without their text.
func readDocuments(name string) (all []*yaml.Node) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var document yaml.Node
		if decoder.Decode(&document) != nil || len(document.Content) == 0 {
			return all
		}
		all = append(all, document.Content[0])
	}
}

// findNode returns the entry of a list that begins at a line.
func findNode(node *yaml.Node, line int) *yaml.Node {
	for _, child := range node.Content {
		if node.Kind == yaml.SequenceNode && child.Kind == yaml.MappingNode && child.Line == line {
			return child
		}
		if found := findNode(child, line); found != nil {
			return found
		}
	}
	return nil
}

func findField(node *yaml.Node, name string) *yaml.Node {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}

// formatNode is a node as YAML in one line, without its comments.
func formatNode(node *yaml.Node) string {
	if node == nil {
		return ""
	}
	simplifyNode(node)
	text, err := yaml.Marshal(node)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

func simplifyNode(node *yaml.Node) {
	node.HeadComment, node.LineComment, node.FootComment = "", "", ""
	if node.Kind == yaml.MappingNode || node.Kind == yaml.SequenceNode {
		node.Style = yaml.FlowStyle
	}
	for _, child := range node.Content {
		simplifyNode(child)
	}
}
