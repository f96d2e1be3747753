// Package dashboards makes Grafana's dashboards of the metrics of docs/operations.md.
package dashboards

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// panel is a graph.
type panel struct {
	title, description, unit string
	queries                  []query
}

type query struct{ expr, legend string }

// board is a dashboard.
type board struct {
	name, title, description string
	metric                   string // that all pods of the dashboard serve: the variables list its labels
	panels                   []panel
}

// Files gives the JSON of each dashboard, by the name of its file.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, b := range boards {
		built, err := b.build()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.name, err)
		}
		text, err := json.MarshalIndent(built, "", "  ")
		if err != nil {
			return nil, err
		}
		files[b.name+".json"] = append(text, '\n')
	}
	return files, nil
}

func (b board) build() (dashboard.Dashboard, error) { //nolint:staticcheck // Grafana's sidecar loads this form, not that of dashboardv2
	source := common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("$datasource")}
	//nolint:staticcheck // see above
	builder := dashboard.NewDashboardBuilder(b.title).Uid(b.name).Description(b.description).Tags([]string{"meshpass"}).
		Readonly().Refresh("1m").Time("now-6h", "now").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data Source").Type("prometheus"))
	selector := ""
	for _, name := range []string{"job", "instance"} {
		builder = builder.WithVariable(dashboard.NewQueryVariableBuilder(name).Label(name).Datasource(source).
			Query(dashboard.StringOrMap{String: cog.ToPtr(fmt.Sprintf("label_values(%s{%s}, %s)", b.metric, selector, name))}).
			Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Multi(true).IncludeAll(true).AllValue(".+"))
		selector = `job=~"$job"`
	}
	for _, p := range b.panels {
		graph := timeseries.NewPanelBuilder().Title(p.title).Description(p.description).Unit(p.unit).Min(0).Datasource(source).Height(8).Span(12)
		for i, q := range p.queries {
			graph = graph.WithTarget(prometheus.NewDataqueryBuilder().Expr(q.expr).LegendFormat(q.legend).RefId(string(rune('A' + i))).Datasource(source).Range())
		}
		builder = builder.WithPanel(graph)
	}
	return builder.Build()
}
