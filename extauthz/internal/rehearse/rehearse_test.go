package rehearse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/browser"
)

// The memory for records is bounded, also for decisions about requests that are not in them. A record of a later version is no request.
func TestRecordsAreBounded(t *testing.T) {
	const edge = `{"time":"2026-06-01T12:00:00Z","kind":"issue","id":"%s","txn":"%[1]s","callee":"edge/a","method":"GET","path":"/a","decision":"allow","reason":"issued","duration_us":1}` + "\n"
	all := func(kind string, n int) io.Reader {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, strings.Replace(edge, "issue", kind, 1), fmt.Sprint(kind, i))
		}
		return strings.NewReader(text.String())
	}
	for name, row := range map[string]struct {
		from io.Reader
		want string
	}{
		"requests":     {all("issue", 4), "more than 3 requests: cut the records to a shorter time"},
		"as many":      {all("issue", 3), ""},
		"decisions":    {io.MultiReader(all("issue", 1), all("check", 7)), "decisions about more than 6 transactions: cut the records to a shorter time"},
		"many, but ok": {io.MultiReader(all("issue", 3), all("check", 6)), ""},
		"later kinds":  {all("exchange", 2), ErrNoRequests.Error()},
	} {
		_, err := readRecords(row.from, 3, 6)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if message != row.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Lines of all kinds are counted, and none is fatal: records that are repeated, in another order, cut, or not ours.
func TestReadRecords(t *testing.T) {
	tour, err := os.ReadFile("../policycli/replay/testdata/tour.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSpace(string(tour)), "\n")
	first, err := ReadRecords(bytes.NewReader(tour))
	if err != nil {
		t.Fatal(err)
	}
	odd := strings.Repeat("x", 3<<20) + "\n" + lines[len(lines)-1] + "\n" + strings.Join(lines[:len(lines)-1], "") + lines[0] + lines[1][:80] + "\n\n" +
		`{"time":"2026-11-23T04:24:13Z","kind":"gap","id":"g","cause":"full","count":7,"since":"2026-11-23T04:24:13Z"}` + "\n" + `{"kind":"issue"}` + "\n"
	again, err := ReadRecords(strings.NewReader(odd))
	if err != nil {
		t.Fatal(err)
	}
	if again.OtherLines != 1 || again.Damaged != 2 || again.Missing != 7 || again.Records != first.Records+1 || len(again.requests) != len(first.requests) {
		t.Errorf("got %+v, want the %d requests of %+v", again, len(first.requests), first)
	}
	for i := range first.requests {
		if first.requests[i].edge.ID != again.requests[i].edge.ID || first.requests[i].describeAnswer() != again.requests[i].describeAnswer() {
			t.Errorf("request %d is another one", i)
		}
	}
	for text, want := range map[string]error{"": ErrNoRequests, lines[0]: ErrNoRequests} {
		if strings.Contains(text, `"kind":"check"`) || text == "" {
			if _, err := ReadRecords(strings.NewReader(text)); !errors.Is(err, want) {
				t.Errorf("%.40q: got %v", text, err)
			}
		}
	}
}

// The client of a rehearsal connects to loopback alone.
func TestRefuseOutside(t *testing.T) {
	dialer := &net.Dialer{Control: refuseOutside}
	for _, address := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "0.0.0.0:80"} {
		if conn, err := dialer.DialContext(t.Context(), "tcp", address); !errors.Is(err, errOutside) {
			t.Errorf("%s: %v, %v", address, conn, err)
		}
	}
}

const hostileName = `</title><script>document.title='run'</script>`

func newTestReport() *Report {
	limit := Limit{Kind: "policy", Name: "policy gold", Rate: 5, Per: 60, Shared: "all requests of the caller"}
	latency := Latency{P50: 4, P99: 9, Count: 5, Layers: map[string]float64{LayerGateway: 2, LayerEnvoy: 1, LayerAuthorizer: 0.5, LayerService: 0.5}}
	status := map[string]int{"200": 5, "429": 3, "503": 1}
	r := &Report{
		File: "shop.yaml", Scope: scope, Seconds: 2, Requests: 9, Isolated: true, Limiter: localcopy.Limiter{Name: "rolling window in Redis", Exact: true, Note: "denied requests count too"},
		Rows: []*Row{{
			Caller: hostileName, API: "orders", Requests: 9, Status: status, Latency: latency,
			Idle:    Latency{Count: 3, Layers: map[string]float64{LayerGateway: 1, LayerEnvoy: 0.5, LayerAuthorizer: 0.25, LayerService: 0.25}},
			Denials: []*DenialCount{{Denial{LayerEnvoy, "503, response flags UF", ""}, 1}}, Limits: []*LimitCount{{limit, 429, 6, 0.2, 3}},
		}},
		Loads: []*LoadResult{{
			Name: "burst", Caller: hostileName, API: "orders", Requests: 9, Status: status, Limits: []*LimitCount{{limit, 429, 6, 0.2, 3}},
			Checks: []Check{{"status 200", "9", "5", false}, {"limited by", "policy", "policy (policy gold)", true}},
			Points: []Point{{0, 200, 4}, {0.1, 200, 4}, {0.1, 429, 1}, {1.9, 503, 9}},
		}},
		Services: []localcopy.Service{{Host: "orders.shop.svc.cluster.local", Account: "ns/shop/sa/orders", Assumed: true}},
		Changes:  localcopy.Changes{NotRun: []localcopy.Change{{File: "a.json", Part: "uptime_tests", Note: "no test request is sent"}}},
	}
	r.countMissed()
	return r
}

// The page shows the verdicts, the table and the plots in a real browser, in both schemes and by keyboard, and runs nothing of the data.
func TestPage(t *testing.T) {
	var out bytes.Buffer
	if err := newTestReport().WritePage(&out); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	tab := browser.Open(t, file)
	for expression, want := range map[string]string{
		"document.title": "Rehearsal shop.yaml",
		"[...document.querySelectorAll('p')].filter(p => p.textContent.startsWith('Rehearsed: the edge and the first hop')).length + ''": "1",
		"document.querySelector('main > p .bad').textContent":                                                                            "✗ 1 expectations were missed.",
		"[...document.querySelectorAll('.sign')].map(sign => sign.textContent).join()":                                                   "✗,✗,✓",
		"document.querySelector('summary').textContent":                                                                                  hostileName,
		"String(document.querySelectorAll('script').length)":                                                                             "0",
		"document.querySelector('svg').getAttribute('aria-label')":                                                                       "burst: 2 allowed 1 limited 1 other",
		"[...document.querySelectorAll('svg')[0].querySelectorAll('rect')].map(bar => bar.className.baseVal).join()":                     "allowed,allowed,limited,other",
		"[...document.querySelectorAll('svg')[1].querySelectorAll('rect')].map(bar => bar.getAttribute('width')).join()":                 "360.0,180.0,90.0,90.0,180.0,90.0,45.0,45.0",
		"document.querySelectorAll('svg')[1].querySelector('title').textContent":                                                         "gateway: 2 ms",
	} {
		if got := tab.Text(expression); got != want {
			t.Errorf("%s = %q, want %q", expression, got, want)
		}
	}
	for range 3 { // the table of expectations, that of callers, and its first row
		tab.Press(browser.TabKey)
	}
	tab.Press(browser.Enter)
	if got := tab.Text("[...document.querySelectorAll('details[open] dt')].map(dt => dt.textContent).join()"); got != "denied 1,limited 3 (429),median, ms,without load, ms" {
		t.Errorf("Enter opened %q", got)
	}
	var fills []string
	for _, scheme := range []browser.Scheme{browser.Light, browser.Dark} {
		tab.Prefer(scheme)
		fills = append(fills, tab.Text("getComputedStyle(document.querySelector('rect.allowed')).fill"))
		for _, selector := range []string{"h1", "td", "dd", "figcaption", ".legend", ".good", ".bad"} {
			if ratio := tab.Contrast(selector); ratio < 4.5 {
				t.Errorf("%s: contrast of %s is %.1f, want 4.5 (WCAG 2 AA)", scheme, selector, ratio)
			}
		}
		tab.KeepScreenshot("rehearse-" + string(scheme) + ".png")
	}
	if fills[0] == fills[1] {
		t.Errorf("both schemes draw in %s", fills[0])
	}
	tab.Resize(360, 640)
	if width := tab.Number("document.documentElement.scrollWidth"); width != 360 {
		t.Errorf("the page is %v pixels wide on a phone, want 360", width)
	}
}
