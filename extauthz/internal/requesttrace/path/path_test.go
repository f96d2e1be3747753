package path_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/logfiles"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/path"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/browser"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
)

// deniedInside is a request of testdata/shop, whose logs a run of the demo wrote: the edge and orders allowed it, and inventory did not.
const deniedInside = "01a22aea-e353-79a5-977c-bc4e27c98ba4"

func reportOf(t *testing.T, q search.Query, sources ...search.Source) path.Report {
	t.Helper()
	result, err := search.Search{Query: q, Limit: 20}.Run(t.Context(), sources)
	if err != nil {
		t.Fatal(err)
	}
	return path.NewReport(result)
}

func shop(t *testing.T) []search.Source {
	t.Helper()
	sources, err := logfiles.Find([]string{filepath.Join("testdata", "shop")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func textOf(t *testing.T, report path.Report) string {
	t.Helper()
	var text strings.Builder
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// The ways of real requests: denied at the first hop and at the second one, without a token, by an API key.
func TestShop(t *testing.T) {
	for name, q := range map[string]search.Query{
		"inside": {ID: deniedInside}, "alice": {Sub: "demo:alice"}, "partner": {Sub: "key:partner-7"}, "direct": {Actor: "ns/shop/sa/inventory"},
		"traced": {TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"},
	} {
		t.Run(name, func(t *testing.T) {
			golden.CompareFile(t, name+".txt", textOf(t, reportOf(t, q, shop(t)...)))
		})
	}
	data, err := json.MarshalIndent(reportOf(t, search.Query{ID: deniedInside}, shop(t)...), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.CompareFile(t, "inside.json", string(data)+"\n")
}

func lines(all ...string) search.Source {
	text := strings.Join(all, "\n")
	return search.Source{Name: "x", Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

const (
	edge      = `{"time":"2026-11-30T05:24:19.100Z","kind":"issue","id":"e","txn":"t1","callee":"edge/a","method":"GET","path":"/p","decision":"allow","reason":"issued","duration_us":9}`
	orders    = `{"time":"2026-11-30T05:24:19.102Z","kind":"check","id":"o","txn":"t1","request_id":"r1","caller":"ns/e/sa/tyk","callee":"ns/s/sa/orders","method":"GET","path":"/p","host":"orders","decision":"allow","reason":"rule_allowed","policy":"orders","rule":"read","duration_us":9}`
	inventory = `{"time":"2026-11-30T05:24:19.104Z","kind":"check","id":"i","txn":"t1","request_id":"r1","caller":"ns/s/sa/orders","callee":"ns/s/sa/inventory","method":"GET","path":"/i","host":"inventory","decision":"allow","reason":"rule_allowed","policy":"inventory","rule":"read","duration_us":9}`
	tykAnswer = `{"api_id":"a","latency_total":7,"method":"GET","path":"/p","prefix":"access-log","status":200,"time":"2026-11-30T05:24:19Z"}`
	unnamed   = `{"authority":"orders","duration":4,"method":"GET","path":"/p","request_id":"r1","response_code":200,"start_time":"2026-11-30T05:24:19.101Z"}`
	answer    = `{"authority":"orders","decision_id":"o","duration":4,"method":"GET","path":"/p","request_id":"r1","response_code":200,"response_code_details":"via_upstream","start_time":"2026-11-30T05:24:19.101Z","txn":"t1","reason":"rule_allowed","policy":"orders","rule":"read","upstream_cluster":"inbound|8080||","downstream_peer":"spiffe://cluster.local/ns/e/sa/tyk"}`
)

// What is missing or odd in the records of a request is shown, and the rest of the way with it.
func TestWays(t *testing.T) {
	for name, row := range map[string]struct {
		records []string
		want    []string // in this order
	}{
		"reordered": {[]string{inventory, answer, orders, edge}, []string{"allowed", "✓ edge/a", "└─ ✓ ns/s/sa/orders", "200 by Envoy", "   └─ ✓ ns/s/sa/inventory"}},
		"no record of a hop": {[]string{edge, inventory, answer},
			[]string{"allowed", "✓ edge/a", "✓ orders  GET /p", "allow rule_allowed orders/read, by the access log: its audit record is not in the input", "✓ ns/s/sa/inventory"}},
		"no record of the edge": {[]string{inventory, orders}, []string{"allowed", "└─ ✓ ns/s/sa/orders", "   └─ ✓ ns/s/sa/inventory"}},
		"an allow that could not be recorded in time": {[]string{edge, orders, strings.Replace(strings.Replace(orders, `"allow"`, `"deny"`, 1), "rule_allowed", "audit_unavailable", 1)},
			[]string{"denied at ns/s/sa/orders: audit_unavailable", "✗ ns/s/sa/orders", "deny audit_unavailable"}},
		"no answer of the authorizer": {[]string{edge, orders, strings.NewReplacer(`"decision_id":"o"`, `"decision_id":null`, `"txn":"t1"`, `"txn":null`, "via_upstream", "ext_authz_error", "200", "503", "/p", "/q").Replace(answer)},
			[]string{"denied at orders: ext_authz_error", "✗ orders  GET /q", "503 by Envoy in 4 ms, ext_authz_error"}},
		"no Check": {[]string{edge, orders, strings.NewReplacer(`"decision_id":"o"`, `"decision_id":null`, `"txn":"t1"`, `"txn":null`, "/p", "/q").Replace(answer)},
			[]string{"allowed", "? orders  GET /q", "200 by Envoy in 4 ms"}},
		"Envoy of the gateway": {[]string{strings.Replace(edge, `"path"`, `"request_id":"r1","host":"gw","path"`, 1), orders, tykAnswer, strings.NewReplacer(`"decision_id":"o"`, `"decision_id":null`, `"txn":"t1"`, `"txn":null`, `"authority":"orders"`, `"authority":"gw"`, "19.101Z", "19.099Z", `"duration":4`, `"duration":8`).Replace(answer)},
			[]string{"allowed", "└─ ✓ edge/a", "200 by Envoy in 8 ms", "200 by Tyk in 7 ms", "   └─ ✓ ns/s/sa/orders"}},
		"clocks that differ": {[]string{strings.Replace(edge, "19.100", "19.900", 1), orders}, []string{"✓ edge/a", "└─ ✓ ns/s/sa/orders"}},
		"clocks of hops that differ": {[]string{edge, strings.Replace(orders, "19.102", "19.700", 1), strings.Replace(inventory, "19.104", "19.300", 1), unnamed},
			[]string{"allowed", "clocks       differ by at least 400 ms", "└─ ✓ edge/a", "   └─ ✓ ns/s/sa/orders", "200 by Envoy of the caller in 4 ms", "      └─ ✓ ns/s/sa/inventory"}},
		"a caller that is called back": {[]string{strings.Replace(orders, "ns/e/sa/tyk", "ns/s/sa/inventory", 1), inventory}, []string{"└─ ✓ ns/s/sa/orders", "   └─ ✓ ns/s/sa/inventory"}},
		"a denial whose record is not here, in another format": {[]string{strings.NewReplacer("rule_allowed", "no_rule", `"response_code_details":"via_upstream",`, "").Replace(answer)},
			[]string{"denied at orders: no_rule", "deny no_rule orders/read, by the access log"}},
		"terminal controls": {[]string{strings.Replace(edge, "/p", `/\u001b[31m`, 1)}, []string{"✓ edge/a"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := textOf(t, reportOf(t, search.Query{ID: "t1"}, lines(row.records...)))
			rest := text
			for _, part := range row.want {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Fatalf("%q is missing, or not in its place:\n%s", part, text)
				}
				rest = after
			}
		})
	}
}

func pageOf(t *testing.T, report path.Report) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := report.WritePage(file); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}

// The page draws the way: denied boxes differ by a sign, a word and their line, and not only by colour. A box opens its details
// by mouse and by keyboard.
func TestPage(t *testing.T) {
	tab := browser.Open(t, pageOf(t, reportOf(t, search.Query{ID: deniedInside}, shop(t)...)))
	for expression, want := range map[string]string{
		"document.title": "Request " + deniedInside,
		"[...document.querySelectorAll('.box .answer')].map(e => e.textContent).join('|')":                    "✓ allowed: issued|✓ allowed by orders/read-own-tenant|✗ denied: no_rule",
		"[...document.querySelectorAll('.box .name')].map(e => e.textContent).join('|')":                      "edge/orders-jwt|ns/shop/sa/orders|ns/shop/sa/inventory",
		"[...document.querySelectorAll('.box rect')].map(e => getComputedStyle(e).strokeDasharray).join('|')": "none|none|8px, 4px",
		"String(document.querySelectorAll('.line').length)":                                                   "2",
		"[...document.querySelectorAll('details')].map(e => e.open).join()":                                   "false,false,false",
		"document.querySelectorAll('.box')[2].getAttribute('aria-label')":                                     "ns/shop/sa/inventory, GET /tenants/globex/items/1001, denied: no_rule, after 4.401 ms",
	} {
		if got := tab.Text(expression); got != want {
			t.Errorf("%s\n got %q\nwant %q", expression, got, want)
		}
	}
	const open = "[...document.querySelectorAll('details')].map(e => e.open).join()"
	tab.Click(".box.bad")
	if got := tab.Text(open); got != "false,false,true" {
		t.Errorf("a click opened %s", got)
	}
	if got := tab.Text("[...document.querySelectorAll('details[open] dt')].map(e => e.textContent + '=' + e.nextElementSibling.textContent).slice(0, 3).join('|')"); !strings.HasPrefix(got, "decision=deny no_rule in 172 µs|") {
		t.Errorf("the details are %q", got)
	}

	// By keyboard: the region of the drawing, then its boxes.
	keys := browser.Open(t, pageOf(t, reportOf(t, search.Query{ID: deniedInside}, shop(t)...)))
	for range 3 {
		keys.Press(browser.TabKey)
	}
	if got := keys.Text("document.activeElement.getAttribute('aria-label') + '|' + getComputedStyle(document.querySelector('.box:focus-visible rect')).strokeWidth"); !strings.HasPrefix(got, "ns/shop/sa/orders, ") || !strings.HasSuffix(got, "|4px") {
		t.Errorf("after three Tabs the focus is at %s", got)
	}
	keys.Press(browser.Enter)
	if got := keys.Text(open); got != "false,true,false" {
		t.Errorf("Enter opened %s", got)
	}

	for _, scheme := range []browser.Scheme{browser.Light, browser.Dark} {
		tab.Prefer(scheme)
		for _, selector := range []string{".way text", "h2", "summary", "dt", "dd", ".note"} {
			if ratio := tab.Contrast(selector); ratio < 4.5 {
				t.Errorf("%s: contrast of %s is %.1f, want 4.5 (WCAG 2 AA)", scheme, selector, ratio)
			}
		}
		tab.KeepScreenshot("trace-" + string(scheme) + ".png")
	}
	tab.Resize(360, 640)
	if width := tab.Number("document.documentElement.scrollWidth"); width != 360 {
		t.Errorf("the page is %v pixels wide, want 360: only the drawing scrolls", width)
	}
}

// A token or a query in a log is in no form of the answer.
func TestTokensAreRemoved(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJva3RhOmFsaWNlIn0.bSeaI3Tenq17hlxB0GAHKtdEAD7oUAe154dtpDCX-qI"
	inputs := strings.Replace(orders, `"id":"o"`, `"id":"o","detail":"`+token+`","inputs":{"request.headers.authorization":"Bearer `+token+`","claims.list":["`+token+`",{"a":"`+token+`"}]}`, 1)
	names := strings.NewReplacer(`"request_id":"r1"`, `"request_id":"`+token+`"`, `"host":"orders"`, `"host":"`+token+`","sub":"`+token+`","shadow":["orders/read `+token+`"],"inputs":{"`+token+`":1}`).Replace(orders)
	proxy := strings.NewReplacer(`"authority":"orders"`, `"authority":"`+token+`"`, "via_upstream", token, "inbound|8080||", token).Replace(answer)
	for _, line := range []string{edge, inputs, names, proxy} {
		line = strings.Replace(line, `"path":"`, `"path":"/`+token+`?key=`+token+`&secret=s3cr3t/`, 1)
		report := reportOf(t, search.Query{ID: "t1"}, lines(line))
		var page strings.Builder
		data, err := json.Marshal(report)
		if err = errors.Join(err, report.WritePage(&page)); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{textOf(t, report), string(data), page.String()} {
			if strings.Contains(text, "eyJ") || strings.Contains(text, "s3cr3t") || !strings.Contains(text, "[a token]") {
				t.Errorf("got %s", text)
			}
		}
	}
}

// Texts of a record are never markup of the page, also in a way of many hops, and in one of none.
func TestHostilePage(t *testing.T) {
	records := []string{strings.Replace(edge, `"edge/a"`, `"edge/</svg><script>document.title='run'</script>"`, 1)}
	for n := range 30 {
		records = append(records, strings.NewReplacer(`"id":"o"`, fmt.Sprintf(`"id":"o%d"`, n), "ns/s/sa/orders", fmt.Sprintf("ns/s/sa/%d", n), "ns/e/sa/tyk", fmt.Sprintf("ns/s/sa/%d", n-1)).Replace(orders))
	}
	tab := browser.Open(t, pageOf(t, reportOf(t, search.Query{ID: "t1"}, lines(records...))))
	if got := tab.Text("document.title + document.querySelectorAll('.box').length + document.querySelectorAll('script').length"); got != "Request t1311" {
		t.Errorf("title, boxes and scripts: %s", got)
	}
	empty := browser.Open(t, pageOf(t, reportOf(t, search.Query{ID: "none"}, lines(edge))))
	if got := empty.Text("document.querySelector('main p').textContent"); got != "No record matches." {
		t.Errorf("the empty page says %q", got)
	}
}
