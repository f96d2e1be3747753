package app

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/allowedheaders"
)

func envoyFilter(t *testing.T, headers ...string) string {
	t.Helper()
	text, err := allowedheaders.Write(allowedheaders.Settings{Namespace: "istio-system", Headers: headers})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readingHeader(rule, header string) string {
	return document("orders", "{name: "+rule+`, effect: allow, when: "!('`+header+`' in request.headers)"}`)
}

// A document that reads a header which sidecars do not send is rejected until the file lists the header,
// and the file is rejected while an active document reads a header that it does not list.
func TestAllowedHeaders(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}]}\nenvoy: {allowedHeaders: allowed.yaml}")
	f.write("allowed.yaml", envoyFilter(t, "x-a"))
	f.write("policies/orders.yaml", readingHeader("first", "x-a"))
	a := startAsked(t, f)
	a.answers(t, "the header is listed", "orders: rule_allowed first")

	f.write("policies/orders.yaml", readingHeader("second", "x-b"))
	a.await(t, documentsMessage)
	a.answers(t, "the header is not listed", "orders: rule_allowed first")
	const problem = `when: the header \"x-b\" is not among the allowed headers, so no sidecar sends it: add it with meshpass istio headers`
	if log := a.log.String(); !strings.Contains(log, problem) {
		t.Errorf("want %s in\n%s", problem, log)
	}
	a.metric(t, `meshpass_reload_current{source="policies"} 0`)

	f.write("allowed.yaml", envoyFilter(t, "x-a", "x-b"))
	a.answers(t, "the header is listed by now", "orders: rule_allowed second")

	f.write("allowed.yaml", envoyFilter(t, "x-a"))
	a.await(t, refusedMessage)
	if log := a.log.String(); !strings.Contains(log, "active documents read x-b: change them before the file") {
		t.Errorf("got\n%s", log)
	}
	a.metric(t, `meshpass_reload_current{source="allowedHeaders"} 0`)
	a.answers(t, "the file is rejected", "orders: rule_allowed second")

	f.write("policies/orders.yaml", readingHeader("third", "x-a"))
	a.answers(t, "no document reads the header", "orders: rule_allowed third")
	a.metric(t, `meshpass_reload_current{source="allowedHeaders"} 1`)
	f.write("policies/orders.yaml", readingHeader("fourth", "x-b"))
	eventually(t, "the document is not rejected", func() bool { return a.logged(documentsMessage) == 2 })
	a.answers(t, "the header is not listed any more", "orders: rule_allowed third")
}

// At a start, what such a document targets is denied.
func TestAllowedHeadersAtTheStart(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}]}\nenvoy: {allowedHeaders: allowed.yaml}")
	f.write("allowed.yaml", envoyFilter(t))
	f.write("policies/orders.yaml", readingHeader("first", "x-a"))
	startAsked(t, f).answers(t, "the header is not listed", "orders: policy_refused")
}
