package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/shared/audit"
)

func maskedRecord(t *testing.T, r audit.Record, mask ...string) (read audit.Record) {
	t.Helper()
	var text strings.Builder
	log := audit.New(&text, audit.Options{Settings: audit.Settings{Mask: mask}})
	log.Record(r)
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	audittest.CheckLines(t, text.String())
	if err := json.Unmarshal([]byte(text.String()), &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// Each field that may be masked loses its value and nothing else changes; the record says which fields those are.
func TestMask(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	full := func() audit.Record {
		r := newRecord("allow", "rule_allowed")
		r.Caller, r.Host, r.Path, r.RequestID, r.TraceID, r.Sub, r.Txn = "ns/a/sa/b", "shop.example", "/x", "r-1", trace, "idp:alice", "t-1"
		r.Inputs = map[string]any{"claims.sub": "idp:alice", "claims.tctx.n": 1.0, "request.headers.x-request-id": "r-1", "request.headers.traceparent": "00-" + trace}
		return r
	}
	for name, change := range map[string]func(*audit.Record){
		"caller": func(r *audit.Record) { r.Caller = audit.Masked },
		"host":   func(r *audit.Record) { r.Host = audit.Masked },
		"path":   func(r *audit.Record) { r.Path = audit.Masked },
		"sub":    func(r *audit.Record) { r.Sub, r.Inputs["claims.sub"] = audit.Masked, audit.Masked },
		"request_id": func(r *audit.Record) {
			r.RequestID, r.Inputs["request.headers.x-request-id"] = audit.Masked, audit.Masked
		},
		"trace_id": func(r *audit.Record) { r.TraceID, r.Inputs["request.headers.traceparent"] = audit.Masked, audit.Masked },
		"inputs": func(r *audit.Record) {
			for name := range r.Inputs {
				r.Inputs[name] = audit.Masked
			}
		},
	} {
		want, before := full(), full()
		change(&want)
		want.Masked = []string{name}
		if got := maskedRecord(t, before, name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v\nwant %+v", name, got, want)
		}
		if !maps.Equal(before.Inputs, full().Inputs) {
			t.Errorf("%s: the caller's own inputs are changed to %v", name, before.Inputs)
		}
	}
}

// A detail quotes what other fields hold, so it never outlives one of them.
func TestADetailIsMaskedWithEachField(t *testing.T) {
	denial := newRecord("deny", "token_revoked")
	denial.Detail, denial.Authenticated = "idp:alice is revoked", true
	for _, name := range audit.MaskableFields() {
		if got := maskedRecord(t, denial, name); got.Detail != audit.Masked || fmt.Sprint(got.Masked) != "[detail]" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// A field without a value stays absent.
func TestNothingIsMaskedThatIsAbsent(t *testing.T) {
	want := newRecord("deny", "no_rule")
	if got := maskedRecord(t, want, audit.MaskableFields()...); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestCheckMask(t *testing.T) {
	for name, want := range map[string]string{
		"sub":  "",
		"txn":  `"txn" cannot be masked: want caller, detail, host, inputs, path, request_id, sub, trace_id`,
		"Sub":  `"Sub" cannot be masked (did you mean "sub"?): want caller, detail, host, inputs, path, request_id, sub, trace_id`,
		"paht": `"paht" cannot be masked (did you mean "path"?): want caller, detail, host, inputs, path, request_id, sub, trace_id`,
	} {
		got := ""
		if err := audit.CheckMask(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}
