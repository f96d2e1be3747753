// Package scrape reads the metrics of a program in Prometheus' text format.
package scrape

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Series are the values of a page, as text, by the name of the series with its labels.
type Series map[string]string

// Read reads http://ADDRESS/metrics. Values that have more than a number, such as an exemplar, stay as they are.
func Read(ctx context.Context, client *http.Client, address string) (Series, error) {
	url := "http://" + address + "/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	series := Series{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if name, value, found := cutSeries(lines.Text()); found {
			series[name] = value
		}
	}
	return series, lines.Err()
}

// cutSeries separates a line after the labels, whose values may have spaces. A comment is no series.
func cutSeries(line string) (name, value string, found bool) {
	if strings.HasPrefix(line, "#") {
		return "", "", false
	}
	if labels, rest, hasLabels := strings.Cut(line, "} "); hasLabels {
		return labels + "}", rest, true
	}
	return strings.Cut(line, " ")
}
