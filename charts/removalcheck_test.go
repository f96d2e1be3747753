package charts_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/charts/internal/render"
)

// TestRemovalChecks compares what each hook asks, and that its account may only read.
func TestRemovalChecks(t *testing.T) {
	const before, change = "pre-delete", "pre-upgrade,pre-rollback"
	root := "istio guarded --root-namespace=istio-system"
	for _, row := range []struct {
		release render.Release
		want    map[string]string // the arguments of the job, by hook
	}{
		{authorizer(installValues(t)), map[string]string{before: "istio guarded", change: "istio guarded --unless-service=meshpass/meshpass:9000"}},
		{authorizer(installValues(t), `{fullnameOverride: other, config: {listeners: [{name: sidecar, grpc: "0.0.0.0:9001", caller: principal, callee: principal}]}}`),
			map[string]string{before: "istio guarded", change: "istio guarded --unless-service=meshpass/other:9001"}},
		{istio(), map[string]string{
			before: root + " --policy=istio-system/meshpass --policy=istio-system/meshpass-ingress --policy=istio-system/meshpass-open",
			change: root + " --policy=istio-system/meshpass-ingress --policy=istio-system/meshpass-open",
		}},
		{istio(`{policies: {closed: {enabled: false}, open: {enabled: true, backstop: {issuer: "https://a", audiences: [b], jwksUri: "https://a/"}}}, waypoints: [{namespace: shop, name: w}], ingress: {selector: {istio: ingressgateway}, gateways: [{namespace: gw, name: a}]}}`), map[string]string{
			before: root + " --policy=gw/meshpass-ingress --policy=istio-system/meshpass --policy=istio-system/meshpass-ingress --policy=istio-system/meshpass-open --policy=shop/meshpass",
			change: root + " --policy=istio-system/meshpass",
		}},
		{istio(`removalCheck: {enabled: false}`), map[string]string{}},
	} {
		objects, err := render.Helm4(row.release)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, o := range objects {
			if !isRemovalCheck(o) {
				continue
			}
			if o["kind"] == "Job" {
				got[hookOf(o)] = argumentsOf(o)
			}
			rules, _ := o["rules"].([]any)
			for _, rule := range rules {
				for _, verb := range rule.(map[string]any)["verbs"].([]any) {
					if verb != "get" && verb != "list" {
						t.Errorf("%s may %v", render.Name(o), verb)
					}
				}
			}
		}
		for hook, want := range row.want {
			if got[hook] != want {
				t.Errorf("%v, %s: got  %s\nwant %s", row.release.Values, hook, got[hook], want)
			}
		}
		if len(got) != len(row.want) {
			t.Errorf("%v: got %v", row.release.Values, got)
		}
	}
}

// argumentsOf gives the arguments of the first container of a job.
func argumentsOf(job render.Object) string {
	pod := job["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	var words []string
	for _, word := range pod["containers"].([]any)[0].(map[string]any)["args"].([]any) {
		words = append(words, word.(string))
	}
	return strings.Join(words, " ")
}
