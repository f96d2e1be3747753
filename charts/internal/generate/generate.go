// Package generate makes the files of the charts that follow from others: the README of each chart from its values, Grafana's
// dashboards, and copies of manifests, because a chart can only read its own folder.
package generate

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshpass/meshpass/charts/internal/dashboards"
)

// copies are the copies in charts, and their originals in manifests.
var copies = map[string]string{
	"meshpass/files/prometheusrule.yaml": "components/monitoring/prometheusrule.yaml",
	"meshpass-istio/files/trailers.yaml": "istio/trailers.yaml",
	"meshpass-istio/files/egress.yaml":   "istio/egress/envoy-filter.yaml",
}

// Charts are the folders of the charts.
var Charts = []string{"meshpass", "meshpass-istio"}

// Files gives the content of each generated file, by its path in the folder charts. root is that folder.
func Files(root string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for name, original := range copies {
		text, err := os.ReadFile(filepath.Join(root, "..", "manifests", filepath.FromSlash(original)))
		if err != nil {
			return nil, err
		}
		files[name] = text
	}
	boards, err := dashboards.Files()
	if err != nil {
		return nil, err
	}
	for name, text := range boards {
		files["meshpass/files/dashboards/"+name], files["../manifests/components/dashboards/"+name] = text, text
	}
	for _, chart := range Charts {
		text, err := readme(filepath.Join(root, chart))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", chart, err)
		}
		files[chart+"/README.md"] = text
	}
	return files, nil
}

// readme makes the README of a chart from Chart.yaml and values.yaml.
func readme(chart string) ([]byte, error) {
	about, err := readYAML(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		return nil, err
	}
	var description string
	for i := 0; i < len(about.Content); i += 2 {
		if about.Content[i].Value == "description" {
			description = about.Content[i+1].Value
		}
	}
	values, err := readYAML(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	name := filepath.Base(chart)
	fmt.Fprintf(&out, "# %s\n\n%s.\n\n", name, description)
	fmt.Fprintf(&out, "    helm install %s charts/%s -n meshpass --create-namespace -f values.yaml\n\n", name, name)
	out.WriteString("[Installation](../../docs/install.md) leads from a cluster with Istio and Tyk to an enforced policy. `make charts` writes this page from\n`values.yaml`. Keys that are not here are rejected.\n\n")
	out.WriteString("| value | default | meaning |\n| --- | --- | --- |\n")
	writeRows(&out, "", values)
	return out.Bytes(), nil
}

func readYAML(file string) (*yaml.Node, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

// writeRows writes a row for each value that has a comment or no values below it.
func writeRows(out *bytes.Buffer, prefix string, object *yaml.Node) {
	for i := 0; i < len(object.Content); i += 2 {
		key, value := object.Content[i], object.Content[i+1]
		path := prefix + key.Value
		below := value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0
		if comment := joinComment(key.HeadComment); comment != "" || !below {
			shown := ""
			if !below {
				shown = "`" + flow(value) + "`"
			}
			fmt.Fprintf(out, "| `%s` | %s | %s |\n", path, shown, comment)
		}
		if below {
			writeRows(out, path+".", value)
		}
	}
}

// joinComment makes one line of a comment. Of several paragraphs the last one belongs to the key.
func joinComment(comment string) string {
	if at := strings.LastIndex(comment, "\n\n"); at >= 0 {
		comment = comment[at+2:]
	}
	var words []string
	for line := range strings.Lines(comment) {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.ReplaceAll(strings.Join(words, " "), "|", "\\|")
}

// flow gives a value on one line.
func flow(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		var list []string
		for _, item := range node.Content {
			list = append(list, flow(item))
		}
		return "[" + strings.Join(list, ", ") + "]"
	case yaml.MappingNode:
		var list []string
		for i := 0; i < len(node.Content); i += 2 {
			list = append(list, node.Content[i].Value+": "+flow(node.Content[i+1]))
		}
		return "{" + strings.Join(list, ", ") + "}"
	default:
		if node.Style == yaml.DoubleQuotedStyle {
			return `"` + node.Value + `"`
		}
		return node.Value
	}
}
