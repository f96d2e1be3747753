package app

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/metadata"

	"github.com/meshpass/meshpass/extauthz/internal/debugserver"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/spanreceiver"
)

// describeSpans returns each span with its parent and our attributes but txn.
func describeSpans(spans []*otlp.Span) (all []string) {
	for _, span := range spans {
		attributes := []string{}
		for _, a := range span.Attributes {
			if name, ours := strings.CutPrefix(a.Key, "meshpass."); ours && name != "txn" {
				attributes = append(attributes, name+"="+a.Value.GetStringValue())
			}
		}
		all = append(all, fmt.Sprintf("%s parent=%x %s", span.Name, span.ParentSpanId, strings.Join(attributes, " ")))
	}
	slices.Sort(all)
	return all
}

const (
	sampledParent   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampledParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

// The span of a sampled Check is the child of Envoy's client span. It names the decision, and its trace is the
// exemplar of the Check's duration. The traceparent inside the Check and an unsampled parent make no span.
func TestSpansOfChecks(t *testing.T) {
	receiver, endpoint := spanreceiver.StartReceiver(t)
	f := newFiles(t, oneListener+"\ntracing: {otlp: {endpoint: \""+endpoint+"\", insecure: true}}")
	r := start(t, f.config)
	client := auth.NewAuthorizationClient(dial(t, r.addresses()[0]))
	ask := func(request *auth.CheckRequest, traceparent string) {
		t.Helper()
		ctx := t.Context()
		if traceparent != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", traceparent)
		}
		if _, err := client.Check(ctx, request); err != nil {
			t.Fatal(err)
		}
	}
	inside := order(t, gateway)
	inside.GetAttributes().GetRequest().GetHttp().Headers["traceparent"] = sampledParent
	ask(inside, "")
	ask(order(t, gateway), unsampledParent)
	ask(order(t, gateway), sampledParent)
	ask(&auth.CheckRequest{}, sampledParent)

	request, err := http.NewRequest(http.MethodGet, r.ops()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if exemplar := `# {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"}`; !strings.Contains(string(text), exemplar) {
		t.Errorf("no %s in\n%s", exemplar, text)
	}
	if err := r.end(t); err != nil { // exports what waits
		t.Fatal(err)
	}
	want := []string{
		"envoy.service.auth.v3.Authorization/Check parent=00f067aa0ba902b7 listener=sidecar decision=allow reason=rule_allowed policy=orders rule=read-own-tenant",
		"envoy.service.auth.v3.Authorization/Check parent=00f067aa0ba902b7 listener=sidecar decision=deny reason=no_http",
	}
	if diff := cmp.Diff(want, describeSpans(receiver.ReceivedSpans())); diff != "" {
		t.Error(diff)
	}
}

// The debug listener shows the state that /status shows, and changes the level of the log.
func TestTheDebugListener(t *testing.T) {
	f := newFiles(t, oneListener+"\ndebug: \"127.0.0.1:0\"")
	level := debugserver.NewLevel(slog.LevelInfo)
	r := start(t, f.config, func(p *Process) { p.LogLevel = level })
	url := "http://" + r.matches(`"msg":"debug listener",.*"address":"([^"]+)"`)[0]
	request, err := http.NewRequest(http.MethodPut, url+"/debug/log-level?level=debug", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	var state status.Report
	if err := json.Unmarshal([]byte(body(t, url+"/debug/state")), &state); err != nil {
		t.Fatal(err)
	}
	if state.State != status.Ready || state.LogLevel != "DEBUG" || level.Level() != slog.LevelDebug {
		t.Errorf("got %q, %q, %s", state.State, state.LogLevel, level.Level())
	}
	if len(state.Limits) != 6 || state.Limits[0] != (status.Limit{Name: "checks in flight", Now: 0, Max: 1024}) {
		t.Errorf("limits %v", state.Limits)
	}
}
