package metricsdoc_test

import (
	"testing"

	"github.com/meshpass/meshpass/internal/metricsdoc"
)

const scrape = `# HELP go_threads Threads.
# TYPE go_threads gauge
go_threads 3
# HELP meshpass_a_total Things a|b.
# TYPE meshpass_a_total counter
meshpass_a_total{reason="x, y=\"z\"",listener="s"} 1
# HELP meshpass_b Others.
# TYPE meshpass_b histogram
meshpass_b_bucket{le="1"} 1
`

// Each difference is named, with the row to write.
func TestCompare(t *testing.T) {
	const head = "# Page\n\n## Metrics\n\n| name |\n| --- |\n"
	const a = "| `meshpass_a_total` | counter | `listener`, `reason` | Things a\\|b. |"
	const b = "| `meshpass_b` | histogram |  | Others. |"
	for _, row := range []struct{ name, page, want string }{
		{"equal", head + a + " more |\n" + b + " |\n\n## Other\n\n| `meshpass_c` | gauge |\n", ""},
		{"missing", head + a + " |\n", "add a row, and say more of it in the last column if there is more: " + b + " |"},
		{"another help", head + a + " |\n| `meshpass_b` | histogram |  | Other. | |\n", "begin the row with: " + b},
		{"not served", head + a + " |\n" + b + " |\n| `meshpass_c` | gauge |  | x | |\n", "remove the row of meshpass_c, which is not served"},
		{"twice", head + a + " |\n" + b + " |\n" + b + " |\n", "remove the second row of meshpass_b"},
	} {
		if got := metricsdoc.Compare(row.page, "## Metrics", scrape); got != row.want {
			t.Errorf("%s: got\n%s\nwant\n%s", row.name, got, row.want)
		}
	}
}
