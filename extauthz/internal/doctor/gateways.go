package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// gatewayAnswers are those of one gateway.
type gatewayAnswers struct {
	Gateway
	hello, canary answer
	metrics       answer
	families      map[string]*dto.MetricFamily // of the plugin; nil: not known
	fault         error                        // why
}

func askGateway(ctx context.Context, g Gateway, timeout time.Duration) gatewayAnswers {
	got := gatewayAnswers{Gateway: g, hello: get(ctx, g.Hello, "", timeout), canary: get(ctx, g.Canary, "", timeout)}
	if g.Metrics.URL == "" {
		return got
	}
	got.metrics = get(ctx, g.Metrics, "/metrics", timeout)
	switch {
	case got.metrics.err != nil:
		got.fault = fmt.Errorf("no answer: %w", got.metrics.err)
	case got.metrics.status != http.StatusOK:
		got.fault = fmt.Errorf("the answer is %d %s", got.metrics.status, http.StatusText(got.metrics.status))
	default:
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(got.metrics.body))
		if err != nil || families["meshpass_edge_ready"] == nil {
			got.fault = fmt.Errorf("the answer has no metrics of the plugin")
			return got
		}
		got.families = families
	}
	return got
}

// release is the gateway's version by its own /hello, with a v; empty: not known.
func (g gatewayAnswers) release() string {
	var hello struct{ Version string }
	if g.hello.decode(&hello) != nil || hello.Version == "" {
		return ""
	}
	return "v" + strings.TrimPrefix(hello.Version, "v")
}

func checkGateways(seen *observations) (lines []Line) {
	if len(seen.gateways) == 0 {
		return seen.describeMissing(gatewayCheck, "no address of a gateway", "give --gateway URL")
	}
	for _, g := range seen.gateways {
		lines = append(lines, g.checkHello())
	}
	return lines
}

func (g gatewayAnswers) checkHello() Line {
	var hello struct {
		Status  string
		Details map[string]struct{ Status, Output string }
	}
	if g.hello.err != nil {
		return newFailedLine(gatewayCheck, g.hello.from, fmt.Errorf("no answer: %w", g.hello.err), "its version and clock", "look at the gateway's pod and its log")
	}
	release := g.release()
	if json.Unmarshal(g.hello.body, &hello) != nil || release == "" {
		return Line{gatewayCheck, g.hello.from.String(), NotChecked, fmt.Sprintf("the answer is %d and not Tyk's /hello", g.hello.status),
			"give the URL of /hello with --hello: with control_api_port it is on that port"}
	}
	var down []string
	for _, part := range slices.Sorted(maps.Keys(hello.Details)) {
		if hello.Details[part].Status != "pass" {
			down = append(down, part)
		}
	}
	if len(down) > 0 {
		return Line{gatewayCheck, g.hello.from.String(), Wrong, fmt.Sprintf("Tyk %s cannot use %s", release, strings.Join(down, ", ")), "docs/gateway.md#when-redis-is-unavailable"}
	}
	return Line{gatewayCheck, g.hello.from.String(), OK, "Tyk " + release, ""}
}

func checkCanaries(seen *observations) (lines []Line) {
	if len(seen.gateways) == 0 {
		return seen.describeMissing(canaryCheck, "no address of a gateway", "give --gateway URL")
	}
	for _, g := range seen.gateways {
		lines = append(lines, checkCanary(g.canary))
	}
	return lines
}

func checkCanary(got answer) Line {
	wrong := func(detail, do string) Line { return Line{canaryCheck, got.from.String(), Wrong, detail, do} }
	var denial struct{ Reason string }
	_ = json.Unmarshal(got.body, &denial) // Tyk's own answers have no reason
	switch {
	case got.err != nil:
		return newFailedLine(canaryCheck, got.from, fmt.Errorf("no answer: %w", got.err), "whether a token can be signed", "look at the gateway's pod and its log")
	case got.status == http.StatusOK && string(got.body) == "ready\n":
		return Line{canaryCheck, got.from.String(), OK, "200 ready: a token can be signed", ""}
	case denial.Reason != "":
		return wrong(fmt.Sprintf("%d %s: every request of an API with the plugin is denied", got.status, denial.Reason), adviseCanary(denial.Reason))
	case got.status == http.StatusInternalServerError:
		return wrong("500 by Tyk: the plugin is missing, or it was built for another release or build of the gateway",
			"find \"Could not load Go-plugin\" in the gateway's log; set the image of the plugin that was built for this release (docs/compatibility.md)")
	case got.status == http.StatusNotFound:
		return wrong("404: Tyk has no API there, or has not loaded its APIs", "add the canary's definition (docs/tyk.md#api-definitions), or name its path with --canary-path")
	default:
		return wrong(fmt.Sprintf("%d, and not an answer of the canary", got.status), "name the path of the canary with --canary-path")
	}
}

// adviseCanary is the next step for a reason of the canary.
func adviseCanary(reason string) string {
	switch reason {
	case "not_configured":
		return "the gateway's log names the mistake in the plugin's file; meshpass config check reports all of them"
	case "no_signing_key":
		return "meshpass keys status shows the keys; meshpass keys new makes one (docs/operations.md#alert-signing-key-ends)"
	case "config_invalid":
		return "the gateway's log names the API definition and what to change; meshpass tyk hooks --check finds it too (docs/operations.md#alert-edge-unguarded-apis)"
	default:
		return "keep the gateway's log and report it (docs/operations.md#alert-edge-panic)"
	}
}

func checkPlugins(seen *observations) (lines []Line) {
	if len(seen.gateways) == 0 {
		return seen.describeMissing(pluginCheck, "no address of a gateway", "give --gateway URL")
	}
	for _, g := range seen.gateways {
		switch {
		case g.families != nil:
			lines = append(lines, g.checkPlugin()...)
		case g.Metrics.URL == "":
			lines = append(lines, Line{pluginCheck, g.Name, NotChecked, g.NoMetrics.Detail, g.NoMetrics.Do})
		default:
			lines = append(lines, newFailedLine(pluginCheck, g.Metrics, g.fault, "its version and the key that signs", "the canary's line says whether the plugin is loaded; metrics in the plugin's file is the address"))
		}
	}
	return lines
}

func (g gatewayAnswers) checkPlugin() (lines []Line) {
	wrong := func(detail, do string) {
		lines = append(lines, Line{pluginCheck, g.Metrics.String(), Wrong, detail, do})
	}
	built := map[string]string{}
	for _, m := range g.families["meshpass_build_info"].GetMetric() {
		built = labelsOf(m)
	}
	if release := g.release(); release != "" && built["tyk"] != release {
		wrong(fmt.Sprintf("built for Tyk %s, and the gateway is %s", built["tyk"], release), "set the image of the plugin that was built for this release (docs/compatibility.md)")
	}
	for _, m := range g.families["meshpass_reload_current"].GetMetric() {
		if m.GetGauge().GetValue() == 0 {
			wrong(fmt.Sprintf("a change of %s is rejected, the last good state is active", labelsOf(m)["source"]), "the gateway's log names file and line; do not restart before it is fixed (docs/operations.md#alert-change-rejected)")
		}
	}
	for _, m := range g.families["meshpass_edge_unguarded_apis"].GetMetric() {
		if count := m.GetGauge().GetValue(); count > 0 {
			wrong(fmt.Sprintf("API definitions that do not protect their API: %.0f, cause %s", count, labelsOf(m)["cause"]), "the gateway's log names them (docs/gateway.md#definitions-that-do-not-protect-an-api)")
		}
	}
	if waits, every := g.gauge("meshpass_audit_chain_unsigned_seconds"), g.gauge("meshpass_audit_chain_checkpoint_seconds"); status.IsCheckpointOverdue(waits, every) {
		wrong(fmt.Sprintf("audit chain: no checkpoint for %.0f s, with checkpoint: %.0f s: the lines since the last one can be changed without a trace", waits, every), chainAdvice)
	}
	if len(lines) == 0 {
		lines = append(lines, Line{pluginCheck, g.Metrics.String(), OK, fmt.Sprintf("version %s, built for Tyk %s", built["version"], built["tyk"]), ""})
	}
	return lines
}

// gauge is the value of a gauge without labels; 0: it is not served.
func (g gatewayAnswers) gauge(name string) float64 {
	for _, m := range g.families[name].GetMetric() {
		return m.GetGauge().GetValue()
	}
	return 0
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range m.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}
