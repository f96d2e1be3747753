package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// The metrics of the plugin in a real gateway, as Prometheus' own parser and linter read them. The
// port is taken when the gateway starts: tokens are signed all the same.
func TestMetrics(t *testing.T) {
	r := start(t, setup{bare: true, apis: []definition{probedAPI, {id: "ignored", json: `{` + openPath + `}`}}})
	gateway, err := url.Parse(r.url)
	must(t, err)
	address := net.JoinHostPort(gateway.Hostname(), "9092")
	taken, err := net.Listen("tcp", address)
	must(t, err)
	r.writePlugin(t)
	r.write(t, "identity.yaml", fmt.Sprintf("metrics: %q\n", address)+r.fill(strings.TrimSpace(pluginConfig)))
	r.serving(t)
	r.await(t, func(context.Context) error { return r.logged("metrics cannot be served") })
	if got := r.canary(t); got.claims == nil {
		t.Fatalf("got %+v: want a token", got.answer)
	}
	must(t, taken.Close())

	var text string
	r.await(t, func(context.Context) (err error) { text, err = scrape(address); return err })
	before := samples(text)
	r.canary(t)
	r.send(t, call{path: "/ignored/open"})
	r.send(t, call{path: "/" + probed + "/"})
	text, err = scrape(address)
	must(t, err)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) != 0 {
		t.Errorf("promlint: %v %v\n%s", problems, err, text)
	}
	after := samples(text)
	for name, want := range map[string]int{
		`meshpass_edge_decisions_total{decision="allow",reason="issued"}`:    1,
		`meshpass_edge_decisions_total{decision="deny",reason="no_session"}`: 1,
		`meshpass_edge_canary_answers_total{reason="issued"}`:                1,
		`meshpass_edge_hook_duration_seconds_count{hook="SignIdentity"}`:     2,
		`meshpass_edge_hook_duration_seconds_count{hook="GuardUpstream"}`:    1,
		`meshpass_edge_goroutine_panics_total{goroutine="metrics"}`:          0,
	} {
		if got := after[name] - before[name]; got != want {
			t.Errorf("%s grew by %d, want %d", name, got, want)
		}
	}
	if !strings.Contains(text, `,tyk="v5.8.1",go="go`) {
		t.Errorf("meshpass_build_info does not name the gateway:\n%s", text)
	}
	if after["meshpass_edge_ready"] != 1 || after[`meshpass_reload_current{source="keys"}`] != 1 {
		t.Errorf("not ready:\n%s", text)
	}
}

func scrape(address string) (string, error) {
	response, err := client().Get("http://" + address + "/metrics")
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return string(text), err
}

// samples are the whole numbers of a scrape by name and labels.
func samples(text string) map[string]int {
	all := map[string]int{}
	for line := range strings.Lines(text) {
		var value int
		at := strings.LastIndex(line, " ")
		if _, err := fmt.Sscanf(line[at+1:], "%d\n", &value); err == nil && !strings.HasPrefix(line, "#") {
			all[line[:at]] = value
		}
	}
	return all
}
