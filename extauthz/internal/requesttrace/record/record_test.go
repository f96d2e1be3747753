package record

import (
	"strings"
	"testing"
	"time"
)

const (
	check = `{"time":"2026-11-30T05:24:19.2782349Z","kind":"check","id":"d1","txn":"t1","trace_id":"4BF92F3577B34DA6A3CE929D0E0E4736","request_id":"r1","listener":"sidecar","caller":"ns/edge/sa/tyk-gateway","callee":"ns/shop/sa/orders","method":"GET","path":"/a","host":"orders","sub":"demo:alice","iss":"https://i","decision":"deny","reason":"no_rule","duration_us":206,"inputs":{"claims.act.sub":"bot"}}`
	envoy = `{"authority":"orders","decision_id":"d1","downstream_peer":"spiffe://cluster.local/ns/edge/sa/tyk-gateway","duration":4,"method":"GET","path":"/a?x=1","reason":"no_rule","request_id":"r1","response_code":403,"response_code_details":"ext_authz_denied","response_flags":"UAEX","rule":null,"start_time":"2026-11-30T05:24:19.277Z","sub":"demo:alice","txn":"t1","upstream_cluster":"inbound|8080||","upstream_service_time":"2"}`
	tyk   = `{"api_id":"orders-jwt","host":"h","latency_total":2,"level":"info","method":"GET","msg":"","path":"/a","prefix":"access-log","status":403,"time":"2026-11-30T05:24:19Z","upstream_latency":1}`
)

func TestClassify(t *testing.T) {
	for name, row := range map[string]struct {
		line string
		want Class
	}{
		"an audit record":                         {check, Audit},
		"with spaces":                             {strings.ReplaceAll(check, `":"`, `" : "`), Audit},
		"with the prefix of kubectl":              {"[pod/meshpass-1/meshpass] 2026-11-30T05:24:19.27Z " + check, Audit},
		"with the prefix of containerd":           {"2026-11-30T05:24:19.27Z stdout F " + check, Audit},
		"in Docker's form":                        {`{"log":"` + strings.ReplaceAll(check, `"`, `\"`) + `\n","stream":"stdout","time":"2026-11-30T05:24:19.27Z"}`, Audit},
		"with the line end of Windows":            {check + "\r", Audit},
		"an access log line":                      {envoy, EnvoyLog},
		"of Tyk":                                  {tyk, TykLog},
		"of Tyk in text":                          {`time="Nov 30 05:24:19" level=info api_id=orders prefix=access-log status=403`, TykText},
		"a count of missing records":              {`{"time":"2026-11-30T05:24:19Z","kind":"gap","id":"x","cause":"queue_full","count":3,"since":"2026-11-30T05:24:18Z"}`, Gap},
		"of a later version":                      {strings.Replace(check, `"check"`, `"exchange"`, 1), Newer},
		"another program's kind":                  {`{"kind":"Pod","apiVersion":"v1"}`, Other},
		"a log line":                              {`{"time":"2026-11-30T05:24:10Z","level":"INFO","msg":"serving"}`, Other},
		"a line of text":                          {"2026-11-30 starting", Other},
		"a line of formatted JSON":                {`  "name": "x",`, Other},
		"nothing":                                 {"  ", Blank},
		"an audit record without its end":         {check[:300], Cut},
		"with hardly more than its time":          {check[:30], Cut},
		"an audit record without its begin":       {check[300:], Cut},
		"an access log line without its end":      {envoy[:200], Cut},
		"an access log line without its begin":    {envoy[250:], Cut},
		"a kind without a value":                  {`{"kind":`, Other},
		"bytes":                                   {"\x00\xff{\x00}", Other},
		"Docker's form without its end":           {`{"log":"{\"time\":\"2026`, Other},
		"Docker's form of another type":           {`{"log":"x","log":7}`, Other},
		"a brace far behind a prefix of no use":   {strings.Repeat("x", 2*maxPrefix) + check, Cut},
		"a member of this name in another object": {`{"a":{"kind":7},"decision":"x"}`, Other},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := Classify([]byte(row.line)); got != row.want {
				t.Errorf("class %d, want %d", got, row.want)
			}
		})
	}
}

func TestSplitTorn(t *testing.T) {
	first, rest := SplitTorn([]byte(check[:100] + check))
	if string(first) != check[:100] || string(rest) != check {
		t.Errorf("got %q, %q", first, rest)
	}
	for _, whole := range []string{check, envoy, tyk, "", "{", "2026-11-30T05:24:19.27Z stdout F " + check} {
		if first, rest := SplitTorn([]byte(whole)); string(first) != whole || rest != nil {
			t.Errorf("%q was split: %q, %q", whole, first, rest)
		}
	}
}

func TestParse(t *testing.T) {
	for name, row := range map[string]struct {
		line string
		want func(Record) bool
	}{
		"audit": {check, func(r Record) bool {
			return r.Kind == Check && r.TraceID == "4bf92f3577b34da6a3ce929d0e0e4736" && r.Actor == "bot" && r.Took == 206*time.Microsecond && r.Sub == "demo:alice"
		}},
		"the actor of a later version": {strings.Replace(check, `"sub"`, `"act":"agent","sub"`, 1), func(r Record) bool { return r.Actor == "agent" }},
		"envoy": {envoy, func(r Record) bool {
			return r.Kind == Envoy && r.ID == "d1" && r.Path == "/a" && r.Status == 403 && r.Flags == "UAEX" && r.Took == 4*time.Millisecond && r.Upstream == 2*time.Millisecond && r.Rule == ""
		}},
		"envoy with - for nothing": {strings.Replace(envoy, `"UAEX"`, `"-"`, 1), func(r Record) bool { return r.Flags == "" }},
		"tyk": {tyk, func(r Record) bool {
			return r.Kind == Tyk && r.Callee == "edge/orders-jwt" && r.Status == 403 && r.Took == 2*time.Millisecond && r.Upstream == time.Millisecond
		}},
	} {
		t.Run(name, func(t *testing.T) {
			object, class := Classify([]byte(row.line))
			if r, ok := Parse(object, class); !ok || !row.want(r) {
				t.Errorf("got %v %+v", ok, r)
			}
		})
	}
	for name, line := range map[string]string{
		"a time that is none": strings.Replace(check, "2026-11-30T", "30.11.2026 ", 1),
		"two kinds":           strings.Replace(check, `"kind":"check"`, `"kind":"check","kind":"gap"`, 1),
		"another type":        strings.Replace(check, `"deny"`, `7`, 1),
		"no JSON":             strings.Replace(check, `,"kind"`, `"kind"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			object, class := Classify([]byte(line))
			if r, ok := Parse(object, class); ok || class != Audit {
				t.Errorf("class %d, %+v", class, r)
			}
		})
	}
}

func FuzzClassify(f *testing.F) {
	for _, line := range []string{check, envoy, tyk, check[:100] + check, `{"log":"{\"log\":\"{}\"}"}`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		for len(line) > 0 {
			first, rest := SplitTorn(line)
			if len(first)+len(rest) != len(line) || len(first) == 0 {
				t.Fatalf("%q became %q, %q", line, first, rest)
			}
			Parse(Classify(first))
			line = rest
		}
	})
}
