package charts_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboardFile is what the rules of Grafana's dashboard-linter read.
type dashboardFile struct {
	Title    string
	UID      string
	Editable bool
	Panels   []struct {
		Title, Description string
		Datasource         datasource
		FieldConfig        struct{ Defaults struct{ Unit string } }
		Targets            []struct {
			Expr, LegendFormat string
			Datasource         datasource
		}
	}
	Templating struct {
		List []struct {
			Name, Label, Type, AllValue string
			Query                       any
			Multi, IncludeAll           bool
			Refresh                     int
			Datasource                  *datasource
		}
	}
}

type datasource struct{ Type, UID string }

var (
	counterName = regexp.MustCompile(`\b[a-z_]+_total\b|\b[a-z_]+_bucket\b`)
	selectors   = regexp.MustCompile(`\b(meshpass|process)_[a-z_]+`)
)

// The dashboards keep the rules of Grafana's dashboard-linter, which is written again here. Every metric is one of docs/operations.md.
func TestDashboardRules(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../manifests/components/dashboards/*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var board dashboardFile
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if board.Editable || board.UID+".json" != name || !strings.HasPrefix(board.Title, "Meshpass / ") {
			t.Errorf("%s: want an UID as its name, a title Meshpass / …, and no editing", name)
		}
		var variables []string
		for _, v := range board.Templating.List {
			variables = append(variables, v.Name)
			if v.Name == "datasource" {
				if v.Type != "datasource" || v.Query != "prometheus" || v.Label != "Data Source" {
					t.Errorf("%s: datasource: %+v", name, v)
				}
				continue
			}
			if v.Type != "query" || v.Label != v.Name || !v.Multi || !v.IncludeAll || v.AllValue != ".+" || v.Refresh != 2 || v.Datasource == nil || v.Datasource.UID != "$datasource" {
				t.Errorf("%s: variable %s: %+v", name, v.Name, v)
			}
		}
		if !slices.Equal(variables, []string{"datasource", "job", "instance"}) {
			t.Errorf("%s: variables %q", name, variables)
		}
		for _, p := range board.Panels {
			at := name + ", " + p.Title
			if p.Title == "" || !strings.HasSuffix(p.Description, ".") || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "$datasource" {
				t.Errorf("%s: want a title, a description, a unit and the variable's data source", at)
			}
			for _, target := range p.Targets {
				metrics := selectors.FindAllStringIndex(target.Expr, -1)
				if target.LegendFormat == "" || target.Datasource.UID != "$datasource" || len(metrics) == 0 {
					t.Errorf("%s: want a legend, the variable's data source and a metric: %s", at, target.Expr)
				}
				for _, m := range metrics {
					metric := target.Expr[m[0]:m[1]]
					if !strings.HasPrefix(target.Expr[m[1]:], `{job=~"$job", instance=~"$instance"`) {
						t.Errorf("%s: %s is not selected by job and instance", at, metric)
					}
					if listed := "`" + strings.TrimSuffix(metric, "_bucket") + "`"; strings.HasPrefix(metric, "meshpass_") && !strings.Contains(string(page), listed) {
						t.Errorf("%s: docs/operations.md has no metric %s", at, metric)
					}
				}
				for _, c := range counterName.FindAllStringIndex(target.Expr, -1) {
					if !strings.HasSuffix(target.Expr[:c[0]], "rate(") {
						t.Errorf("%s: a counter without rate: %s", at, target.Expr)
					}
				}
				if strings.Contains(target.Expr, "rate(") && !strings.Contains(target.Expr, "[$__rate_interval]") {
					t.Errorf("%s: want [$__rate_interval]: %s", at, target.Expr)
				}
			}
		}
	}
}
