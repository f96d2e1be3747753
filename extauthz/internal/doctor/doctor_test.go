package doctor_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/doctor"
	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// pages are the answers of a stand-in for a part, by path. A text that begins with a number and a space has that status.
type pages map[string]string

func serve(t *testing.T, answers pages) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, found := answers[r.URL.RequestURI()]
		if !found {
			http.NotFound(w, r)
			return
		}
		code := http.StatusOK
		if _, err := fmt.Sscanf(text, "%d ", &code); err == nil {
			text = text[4:]
		}
		w.WriteHeader(code)
		fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	hello  = `{"status":"pass","version":"v5.8.1","details":{"redis":{"status":"pass"}}}`
	filter = `{"name":"envoy.filters.http.ext_authz","typed_config":{"grpc_service":{"envoy_grpc":{"cluster_name":"outbound|9000||meshpass.meshpass.svc.cluster.local"},"timeout":"0.250s"},"status_on_error":{"code":"ServiceUnavailable"}}}`
	router = `{"name":"envoy.filters.http.router","typed_config":{"rules":["of another type"]}}`
	synced = `[{"proxy":"orders-1.shop","listener_sent":"a","listener_acked":"a","cluster_sent":"b","cluster_acked":"b"}]`
	node   = `{"node":{"id":"sidecar~10.0.0.1~orders-1.shop~shop.svc.cluster.local"}}`
	hosts  = `[{"health_status":{"eds_health_status":"HEALTHY"},"stats":[{"name":"cx_active","value":"1"},{"name":"rq_total","value":"9"},{"name":"rq_success","value":"8"},{"name":"rq_error","value":"1"}]}]`
)

// metrics is a page with these lines. Every name is a gauge.
func metrics(lines string) string {
	lines = "meshpass_edge_ready 1\nmeshpass_build_info{version=\"v1\",tyk=\"v5.8.1\"} 1\n" + lines
	var text strings.Builder
	typed := map[string]bool{}
	for line := range strings.Lines(lines) {
		name := line[:strings.IndexAny(line, "{ ")]
		if !typed[name] {
			fmt.Fprintf(&text, "# TYPE %s gauge\n", name)
		}
		typed[name] = true
		text.WriteString(line)
	}
	return text.String()
}

// signing is the metrics of a key that signs now, and of a next one.
func signing(kid string, until time.Time, next string) string {
	from := func(kid string, at time.Time) string {
		return fmt.Sprintf("meshpass_edge_key_sign_from_timestamp_seconds{kid=%q} %d\n", kid, at.Unix())
	}
	text := fmt.Sprintf("meshpass_edge_key_current{algorithm=\"EdDSA\",kid=%q} 1\nmeshpass_edge_key_sign_until_timestamp_seconds{kid=%q} %d\n", kid, kid, until.Unix())
	froms := from(kid, time.Now().Add(-time.Hour))
	if next != "" {
		text = strings.Replace(text, "\nmeshpass_edge_key_sign_until", fmt.Sprintf("\nmeshpass_edge_key_current{algorithm=\"EdDSA\",kid=%q} 0\nmeshpass_edge_key_sign_until", next), 1)
		froms += from(next, time.Now().AddDate(1, 0, 0))
	}
	return text + froms
}

func listeners(chains ...string) string {
	for i, filters := range chains {
		chains[i] = `{"filters":[{"name":"hcm","typed_config":{"http_filters":[` + filters + `]}}]}`
	}
	return `{"configs":[{"name":"virtualInbound","active_state":{"listener":{"traffic_direction":"INBOUND","filter_chains":[` + strings.Join(chains, ",") + `]}}},
		{"name":"egress","active_state":{"listener":{"traffic_direction":"OUTBOUND","filter_chains":[{"filters":[{"typed_config":{"http_filters":[` + router + `]}}]}]}}}]}`
}

func clusters(hosts string) string {
	return `{"cluster_statuses":[{"name":"outbound|9000||meshpass.meshpass.svc.cluster.local","host_statuses":` + hosts + `}]}`
}

// parts are the answers of an installation with one part of each kind.
type parts struct {
	gateway, plugin, envoy, istiod pages
	reports                        []status.Report
}

const canary = "/meshpass-canary/"

func fine() parts {
	return parts{
		gateway: pages{"/hello": hello, canary: "ready\n"},
		plugin:  pages{"/metrics": metrics(signing("k1", time.Now().AddDate(0, 0, 9), "k2"))},
		envoy:   pages{"/server_info": node, "/config_dump?resource=dynamic_listeners": listeners(filter+","+router, router+","+filter), "/clusters?format=json": clusters(hosts)},
		istiod:  pages{"/debug/syncz": synced},
		reports: []status.Report{report(), report()},
	}
}

func report() status.Report {
	return status.Report{
		State:    status.Ready,
		Policies: status.Policies{Generation: "g1", Wanted: "g1", Documents: 1, Unguarded: "deny"},
		Issuers:  []status.Issuer{{Name: "https://a", Keys: 2, KeyIDs: []string{"k1", "k2"}}},
		Sources:  []status.Source{{Name: "policies", Since: time.Unix(1000, 0)}},
	}
}

// run runs doctor and returns the lines that are not ok, without what to do.
func run(t *testing.T, p parts) []string {
	t.Helper()
	installation := doctor.Installation{
		Gateways: []doctor.Gateway{{Name: "gateway", Hello: doctor.Address{Name: "hello", URL: serve(t, p.gateway) + "/hello"}, Canary: doctor.Address{Name: "canary", URL: serve(t, p.gateway) + canary}}},
		Envoys:   []doctor.Envoy{{Admin: doctor.Address{Name: "orders", URL: serve(t, p.envoy)}}},
		Istiods:  []doctor.Address{{Name: "istiod", URL: serve(t, p.istiod)}},
	}
	if p.plugin != nil {
		installation.Gateways[0].Metrics = doctor.Address{Name: "plugin", URL: serve(t, p.plugin)}
	} else {
		installation.Gateways[0].NoMetrics = doctor.Missing{Detail: "no metrics", Do: "set them"}
	}
	for i, r := range p.reports {
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		installation.Authorizers = append(installation.Authorizers, doctor.Address{Name: string(rune('A' + i)), URL: serve(t, pages{status.Path: string(text)})})
	}
	o := newOptions(time.Minute)
	var faults []string
	for _, l := range doctor.Run(t.Context(), installation, o).Lines {
		if l.Result != doctor.OK {
			if l.Do == "" {
				t.Errorf("nothing to do: %+v", l)
			}
			faults = append(faults, fmt.Sprintf("%s %s %s: %s", l.Result, l.Check, l.Subject, l.Detail))
		}
	}
	return faults
}

func newOptions(timeout time.Duration) doctor.Options {
	return doctor.Options{Timeout: timeout, MaxSkew: time.Second, Provider: doctor.Provider{Namespace: "meshpass"}, ProgressEvery: time.Hour, Progress: func(int, int) {}}
}

// The parts here are stand-ins, for answers that TestDoctor of e2e does not get from the real ones.
func TestFaults(t *testing.T) {
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	change := func(name string, from, to string) func(*parts) {
		return func(p *parts) {
			for _, all := range []pages{p.gateway, p.plugin, p.envoy, p.istiod} {
				if text, found := all[name]; found {
					if !strings.Contains(text, from) {
						t.Errorf("%s has no %q", name, from)
					}
					all[name] = strings.ReplaceAll(text, from, to)
				}
			}
		}
	}
	whole := func(name, text string) func(*parts) {
		return func(p *parts) {
			for _, all := range []pages{p.gateway, p.plugin, p.envoy, p.istiod} {
				if _, found := all[name]; found {
					all[name] = text
				}
			}
		}
	}
	const dump, info, stats, syncz = "/config_dump?resource=dynamic_listeners", "/server_info", "/clusters?format=json", "/debug/syncz"
	for _, row := range []struct {
		name   string
		change func(*parts)
		want   []string
	}{
		{"nothing", func(*parts) {}, nil},
		{"no /hello on this port", whole("/hello", "404 404 page not found\n"), []string{"not_checked gateway hello: the answer is 404 and not Tyk's /hello"}},
		{"Redis is down", change("/hello", `"redis":{"status":"pass"}`, `"redis":{"status":"fail"}`), []string{"wrong gateway hello: Tyk v5.8.1 cannot use redis"}},
		{"no canary", whole(canary, "404 404 page not found\n"), []string{"wrong canary canary: 404: Tyk has no API there, or has not loaded its APIs"}},
		{"another API", whole(canary, "200 <html>"), []string{"wrong canary canary: 200, and not an answer of the canary"}},
		{"no key", whole(canary, `503 {"reason":"no_signing_key"}`), []string{"wrong canary canary: 503 no_signing_key: every request of an API with the plugin is denied"}},
		{"another release", change("/hello", "v5.8.1", "5.9.0"), []string{"wrong plugin plugin: built for Tyk v5.8.1, and the gateway is v5.9.0"}},
		{"a rejected file of the plugin", whole("/metrics", metrics("meshpass_reload_current{source=\"keys\"} 0\n"+signing("k1", time.Now().AddDate(0, 0, 9), "k2"))), []string{"wrong plugin plugin: a change of keys is rejected, the last good state is active"}},
		{"a chain of the plugin without checkpoints", whole("/metrics", metrics("meshpass_audit_chain_checkpoint_seconds 60\nmeshpass_audit_chain_unsigned_seconds 66\n"+signing("k1", time.Now().AddDate(0, 0, 9), "k2"))), []string{"wrong plugin plugin: audit chain: no checkpoint for 66 s, with checkpoint: 60 s: the lines since the last one can be changed without a trace"}},
		{"a chain of the plugin", whole("/metrics", metrics("meshpass_audit_chain_checkpoint_seconds 60\nmeshpass_audit_chain_unsigned_seconds 65\n"+signing("k1", time.Now().AddDate(0, 0, 9), "k2"))), nil},
		{"a chain without checkpoints", func(p *parts) {
			p.reports[1].Audit = &status.Audit{Chain: &status.AuditChain{Checkpoint: 60, Waits: 66, Failed: 2}}
		}, []string{"wrong authorizer B: audit chain: no checkpoint for 1m6s, with checkpoint: 1m0s: the lines since the last one can be changed without a trace (checkpoints that could not be written: 2)"}},
		{"metrics of another program", whole("/metrics", "up 1\n"), []string{"wrong plugin plugin: the answer has no metrics of the plugin; not known: its version and the key that signs"}},
		{"no metrics", func(p *parts) { p.plugin = nil }, []string{"not_checked plugin gateway: no metrics", "not_checked keys gateway: the key that signs is not known, because the plugin's metrics are not"}},
		{"a key that ends", whole("/metrics", metrics(signing("k1", soon, ""))), []string{"wrong keys gateway: the last key ends at " + soon.Format(time.RFC3339)}},
		{"no key that signs", whole("/metrics", metrics("")), []string{"wrong keys gateway: no key signs now"}},
		{"a next key that is not published", func(p *parts) { p.reports[1].Issuers[0].KeyIDs = []string{"k1"} }, []string{"wrong keys B: does not know the key k2, with which gateway will sign from " + time.Now().AddDate(1, 0, 0).UTC().Format("2006-01-02T")}},
		{"a key of another fleet", func(p *parts) {
			p.reports[0].Issuers = append(p.reports[0].Issuers, status.Issuer{Name: "https://b", Keys: 1, KeyIDs: []string{"k3"}})
		}, []string{"wrong keys B: does not know the key k3 of https://b, which A knows"}},
		{"an authorizer of an earlier version", func(p *parts) { p.reports[1].Issuers[0].KeyIDs = nil }, []string{"not_checked keys B: this version of the authorizer does not name its keys"}},
		{"no chain with the filter", whole(dump, listeners(router)), []string{"wrong envoy orders: no ext_authz filter: every request passes without a decision"}},
		{"one chain without the filter", whole(dump, listeners(filter, router)), []string{"wrong envoy orders: 1 of 2 HTTP filter chains have no ext_authz filter: their requests pass without a decision"}},
		{"another authorizer", change(dump, "meshpass.meshpass.svc", "meshpass.other.svc"), []string{"wrong envoy orders: ext_authz asks another service than one in the namespace meshpass"}},
		{"no timeout", change(dump, `,"timeout":"0.250s"`, ""), []string{"wrong envoy orders: no timeout: a hanging authorizer holds each request for 600 s"}},
		{"Istio's timeout", change(dump, "0.250s", "600s"), []string{"wrong envoy orders: timeout 10m0s: a hanging authorizer holds each request that long"}},
		{"no cluster", whole(stats, `{}`), []string{"wrong envoy orders: the filter asks outbound|9000||meshpass.meshpass.svc.cluster.local, and this Envoy has no such cluster"}},
		{"a rejected listener", change(dump, `"name":"virtualInbound",`, `"name":"virtualInbound","error_state":{"details":"no such filter"},`), []string{"wrong envoy orders: Envoy rejected a change of the listener virtualInbound: no such filter"}},
		{"an Envoy that is no sidecar", func(p *parts) {
			change(info, "sidecar~", "waypoint~")(p)
			whole(dump, listeners(filter, router))(p)
		}, nil},
		{"no endpoint", whole(stats, clusters(`[]`)), []string{"wrong provider orders: the authorizer's Service has no endpoint"}},
		{"no healthy endpoint", change(stats, "HEALTHY", "UNHEALTHY"), []string{"wrong provider orders: no endpoint of the authorizer's Service is healthy"}},
		{"no question was answered", change(stats, `{"name":"rq_success","value":"8"}`, `{"name":"rq_success"}`), []string{"wrong provider orders: connected, but none of 9 questions was answered"}},
		{"nothing was asked", change(stats, `{"name":"cx_active","value":"1"}`, `{"name":"cx_active"}`), []string{"not_checked provider orders: no connection to the authorizer, and no failed attempt: Envoy connects when it has something to ask"}},
		{"an Envoy that istiod does not know", change(syncz, "orders-1", "orders-2"), []string{"wrong istiod orders: istiod does not know this Envoy: it keeps an old configuration"}},
		{"listeners that wait", change(syncz, `"listener_acked":"a"`, `"listener_acked":""`), []string{"wrong istiod orders: has not acknowledged what istiod pushed last"}},
		{"listeners that were rejected", change(syncz, `"proxy"`, `"resources":{"type.googleapis.com/envoy.config.listener.v3.Listener":{"lastError":"no such filter"}},"proxy"`), []string{"wrong istiod orders: rejected the listeners that istiod pushed: no such filter"}},
		{"JSON of another program", whole(info, "{}"), []string{"wrong envoy orders: the answers are not of an Envoy that istiod configures; not known: its filters"}},
		{"JSON of another program as a report", func(p *parts) { p.reports[1] = status.Report{} }, []string{"wrong authorizer B: the answer is no report of an authorizer; not known: its generation, keys and clock"}},
		{"an address of another program", whole(info, "200 <html>"), []string{"wrong envoy orders: the answer is not the expected JSON: invalid character '<' looking for beginning of value; not known: its filters, its connection to the authorizer, what istiod pushed"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := fine()
			row.change(&p)
			got := run(t, p)
			if !slices.EqualFunc(got, row.want, strings.HasPrefix) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(row.want, "\n"))
			}
		})
	}
}

// A part that hangs costs one timeout, and the others are checked.
func TestHangingPart(t *testing.T) {
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(hanging.Close)
	o := newOptions(500 * time.Millisecond)
	o.Skip = []string{"gateway", "canary", "plugin", "envoy", "provider", "istiod"}
	progress := make(chan string, 1000)
	o.ProgressEvery, o.Progress = time.Millisecond, func(answered, asked int) {
		select {
		case progress <- fmt.Sprintf("%d of %d", answered, asked):
		default:
		}
	}
	report := doctor.Run(t.Context(), doctor.Installation{Authorizers: []doctor.Address{{Name: "A", URL: hanging.URL}}}, o)
	if report.Count(doctor.Wrong) != 1 || !strings.Contains(report.Lines[3].Detail, "no answer: none within 500ms") {
		t.Errorf("got %+v", report.Lines)
	}
	if got := <-progress; got != "0 of 1" {
		t.Errorf("progress %s", got)
	}
}

// A part that could not be reached is not checked, because nothing is known about it.
func TestNotReached(t *testing.T) {
	client := &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("%w by port-forward: forbidden", doctor.ErrNotReached)
	})}
	at := doctor.Address{Name: "pod", URL: "http://127.0.0.1:1", Client: client}
	report := doctor.Run(t.Context(), doctor.Installation{
		Gateways: []doctor.Gateway{{Name: "pod", Hello: at, Canary: at, Metrics: at}}, Authorizers: []doctor.Address{at}, Envoys: []doctor.Envoy{{Admin: at}}, Istiods: []doctor.Address{at},
	}, newOptions(time.Second))
	for _, l := range report.Lines {
		if l.Result != doctor.NotChecked || l.Do == "" {
			t.Errorf("got %+v", l)
		}
	}
	for _, check := range []string{"gateway", "canary", "plugin", "authorizer", "envoy", "istiod"} {
		if !slices.ContainsFunc(report.Lines, func(l doctor.Line) bool {
			return l.Check == check && strings.Contains(l.Detail, "not reached by port-forward: forbidden; not known: ")
		}) {
			t.Errorf("%s has no line with the cause", check)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An address with the wrong scheme, or a certificate that this machine does not trust, says nothing about the part.
func TestTransport(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready\n") })
	withTLS, without := httptest.NewUnstartedServer(answer), httptest.NewServer(answer)
	withTLS.Config.ErrorLog = log.New(io.Discard, "", 0)
	withTLS.StartTLS()
	t.Cleanup(withTLS.Close)
	t.Cleanup(without.Close)
	for url, want := range map[string][2]string{
		strings.Replace(withTLS.URL, "https", "http", 1): {"it answers with TLS only", "https://HOST:PORT"},
		strings.Replace(without.URL, "http", "https", 1): {"server gave HTTP response to HTTPS client", "http://HOST:PORT"},
		withTLS.URL: {"certificate", "SSL_CERT_FILE"},
	} {
		at := doctor.Address{URL: url}
		o := newOptions(time.Minute)
		o.Skip = []string{"plugin", "keys", "generation", "clock", "envoy", "provider"}
		report := doctor.Run(t.Context(), doctor.Installation{Gateways: []doctor.Gateway{{Name: "g", Hello: at, Canary: at}}, Authorizers: []doctor.Address{at}, Istiods: []doctor.Address{at}}, o)
		if report.Count(doctor.NotChecked) != 4 {
			t.Errorf("%s: %+v", url, report.Lines)
		}
		for _, l := range report.Lines {
			if l.Result == doctor.NotChecked && (!strings.Contains(l.Detail, want[0]) || !strings.Contains(l.Do, want[1])) {
				t.Errorf("%s: %+v", url, l)
			}
		}
	}
}

// A part that is down has its line also if nothing is compared with it.
func TestIstiodWithoutEnvoys(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	o := newOptions(time.Minute)
	o.Skip = []string{"gateway", "canary", "plugin", "authorizer", "generation", "keys", "clock", "envoy", "provider"}
	report := doctor.Run(t.Context(), doctor.Installation{Istiods: []doctor.Address{{URL: server.URL}}}, o)
	if report.Count(doctor.Wrong) != 1 || !strings.Contains(report.Lines[9].Detail, "the answer is 404 Not Found") {
		t.Errorf("%+v", report.Lines)
	}
}

// The text of an answer makes no line of its own.
func TestForgedLine(t *testing.T) {
	var text strings.Builder
	report := doctor.Report{Lines: []doctor.Line{{Check: "gateway", Subject: "a", Result: doctor.OK, Detail: "Tyk v1\r\nok           canary      a: 200 ready"}}}
	if err := report.Print(&text); err != nil || strings.Count(text.String(), "\n") != 2 || !strings.Contains(text.String(), `v1\r\nok`) {
		t.Errorf("%v %q", err, text.String())
	}
}

// With one clock alone, nothing agrees with others.
func TestOneClock(t *testing.T) {
	p := fine()
	o := newOptions(time.Minute)
	report := doctor.Run(t.Context(), doctor.Installation{Gateways: []doctor.Gateway{{Name: "g", Hello: doctor.Address{URL: serve(t, p.gateway) + "/hello"}}}}, o)
	for _, l := range report.Lines {
		if l.Check == "clock" && l.Detail != "agrees with the clock of this machine, and no other is known" {
			t.Errorf("%+v", l)
		}
	}
}

// Every check has a row in docs/doctor.md.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range doctor.Checks {
		if !strings.Contains(string(page), "\n| `"+check+"` | ") {
			t.Errorf("docs/doctor.md has no row of %s", check)
		}
	}
}
