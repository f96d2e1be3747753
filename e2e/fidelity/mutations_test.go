package fidelity_test

import (
	"strconv"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

type option = core.HeaderValueOption

// set is a header of an answer, with an action.
func set(name, value string, action core.HeaderValueOption_HeaderAppendAction) *option {
	return &option{Header: &core.HeaderValue{Key: name, Value: value}, AppendAction: action}
}

// legacy is one with the old field in place of the action.
func legacy(name, value string, appending bool) *option {
	return &option{Header: &core.HeaderValue{Key: name, Value: value}, Append: wrapperspb.Bool(appending)} //nolint:staticcheck // deprecated, and what Envoy 1.39 reads
}

const (
	overwrite        = core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
	overwriteOnly    = core.HeaderValueOption_OVERWRITE_IF_EXISTS
	addIfAbsent      = core.HeaderValueOption_ADD_IF_ABSENT
	appendOrAdd      = core.HeaderValueOption_APPEND_IF_EXISTS_OR_ADD // the zero value
	clientsOwn, ours = "client", "ours"
)

// testRequestHeaders: what an allow does to a field that the client sent, and
// to one that it did not. Envoy 1.39 does not read append_action here, only the
// old append; others do, and there an absent action appends
// (envoyproxy/envoy#42878). OVERWRITE_IF_EXISTS_OR_ADD and a removal are what
// all of them understand alike, and what leaves nothing of the client's.
func (e *alone) testRequestHeaders(t *testing.T) {
	for _, row := range []struct {
		name   string
		ok     *auth.OkHttpResponse
		sent   []string // X-A arrives so, if the client sent it
		unsent []string // and so, if it did not
	}{
		{"nothing", &auth.OkHttpResponse{}, []string{clientsOwn}, nil},
		{"append, or no action", setting(set("x-a", ours, appendOrAdd)), []string{ours}, []string{ours}},
		{"overwrite or add", setting(set("x-a", ours, overwrite)), []string{ours}, []string{ours}},
		{"overwrite or add, in capitals", setting(set("X-A", ours, overwrite)), []string{ours}, []string{ours}},
		{"overwrite", setting(set("x-a", ours, overwriteOnly)), []string{ours}, []string{ours}},
		{"add if absent", setting(set("x-a", ours, addIfAbsent)), []string{ours}, []string{ours}},
		{"append: true of old", setting(legacy("x-a", ours, true)), []string{clientsOwn + "," + ours}, nil},
		{"append: false of old", setting(legacy("x-a", ours, false)), []string{ours}, []string{ours}},
		{"overwrite twice", setting(set("x-a", "first", overwrite), set("x-a", ours, overwrite)), []string{ours}, []string{ours}},
		{"overwrite, then append", setting(set("x-a", ours, overwrite), set("x-a", "too", appendOrAdd)), []string{"too"}, []string{"too"}},
		{"overwrite with nothing", setting(set("x-a", "", overwrite)), []string{""}, []string{""}},
		{"only raw_value", setting(&option{Header: &core.HeaderValue{Key: "x-a", RawValue: []byte(ours)}, AppendAction: overwrite}), []string{""}, []string{""}},
		{"remove", removing("x-a"), nil, nil},
		{"remove, in capitals", removing("X-A"), nil, nil},
		{"remove another spelling", removing("x_a"), []string{clientsOwn}, nil},
		{"overwrite and remove", &auth.OkHttpResponse{Headers: []*option{set("x-a", ours, overwrite)}, HeadersToRemove: []string{"x-a"}}, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.says(t, passing(row.ok))
			_, arrived := e.try(t, request("/m", "X-A: "+clientsOwn)).passed(t)
			equalLists(t, "sent", arrived.values("x-a"), row.sent)
			_, arrived = e.try(t, request("/m")).passed(t)
			equalLists(t, "unsent", arrived.values("x-a"), row.unsent)
		})
	}
	t.Run("a doubled field is removed as a whole", func(t *testing.T) {
		e.says(t, passing(removing("x-a")))
		_, arrived := e.try(t, request("/m", "X-A: 1", "x-a: 2", "X_A: 3")).passed(t)
		equalLists(t, "x-a", arrived.values("x-a"), nil)
		equalLists(t, "x_a", arrived.values("x_a"), []string{"3"})
	})
}

func setting(headers ...*option) *auth.OkHttpResponse { return &auth.OkHttpResponse{Headers: headers} }

func removing(names ...string) *auth.OkHttpResponse {
	return &auth.OkHttpResponse{HeadersToRemove: names}
}

// testOtherChanges: an allow may change more than fields. Meshpass does none of
// this: what was decided would no longer be what arrives.
func (e *alone) testOtherChanges(t *testing.T) {
	const line = "GET /m?a=1&b=2 HTTP/1.1"
	for _, row := range []struct {
		name string
		ok   *auth.OkHttpResponse
		line string
		host string
	}{
		{"removal of what routes is ignored", removing("host", ":path", ":method", ":authority"), line, ordersHost},
		{"a path is taken", setting(set(":path", "/other", overwrite)), "GET /other HTTP/1.1", ordersHost},
		{"a method is taken", setting(set(":method", "PUT", overwrite)), "PUT /m?a=1&b=2 HTTP/1.1", ordersHost},
		{"a host is taken", setting(set("host", "other", overwrite)), line, "other"},
		{"query parameters are added", &auth.OkHttpResponse{QueryParametersToSet: []*core.QueryParameter{{Key: "a", Value: "9"}, {Key: "c", Value: "3"}}}, "GET /m?a=9&b=2&c=3 HTTP/1.1", ordersHost},
		{"query parameters are removed", &auth.OkHttpResponse{QueryParametersToRemove: []string{"a"}}, "GET /m?b=2 HTTP/1.1", ordersHost},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.says(t, passing(row.ok))
			_, arrived := e.try(t, request("/m?a=1&b=2")).passed(t)
			equal(t, "line", arrived.line, row.line)
			equalLists(t, "host", arrived.values("host"), []string{row.host})
		})
	}
	t.Run("headers of the response", e.testResponseHeaders)
	t.Run("invalid", e.testInvalidChanges)
}

// testResponseHeaders: headers that an OK sets are in the client's answer,
// beside or over the workload's.
func (e *alone) testResponseHeaders(t *testing.T) {
	for _, row := range []struct {
		name   string
		option *option
		want   []string
	}{
		{"new", set("x-new", ours, overwrite), []string{ours}},
		{"overwrites the workload's", set("x-from", ours, overwrite), []string{ours}},
		{"beside the workload's", set("x-from", ours, appendOrAdd), []string{"upstream", ours}},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.says(t, passing(&auth.OkHttpResponse{ResponseHeadersToAdd: []*option{row.option}}))
			v := e.try(t, request("/m"))
			v.passed(t)
			equalLists(t, "got", v.reply.header.Values(row.option.Header.Key), row.want)
		})
	}
}

// testInvalidChanges: Istio sets no validate_mutations. What no request can
// carry ends before the workload all the same, as a 500 of the filter's or a 503
// of the connection's.
func (e *alone) testInvalidChanges(t *testing.T) {
	var many []*option
	for i := range 100 {
		many = append(many, set("x-"+strconv.Itoa(i), ours, overwrite))
	}
	for _, row := range []struct {
		name   string
		ok     *auth.OkHttpResponse
		status int
	}{
		{"a space in a name", setting(set("x a", ours, overwrite)), 503},
		{"a line end in a value", setting(set("x-a", "1\r\nx-b: 2", overwrite)), 503},
		{"60 KiB", setting(set("x-a", strings.Repeat("a", 60<<10), overwrite)), 500},
		{"100 fields", setting(many...), 500},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.says(t, passing(row.ok))
			v := e.try(t, request("/m"))
			if v.reply.status != row.status || len(v.arrived) != 0 {
				t.Errorf("got %d, arrived %v; want %d and nothing", v.reply.status, v.arrived, row.status)
			}
		})
	}
	t.Run("a field without a name passes", func(t *testing.T) {
		e.says(t, passing(setting(set("", ours, overwrite))))
		_, arrived := e.try(t, request("/m")).passed(t)
		equalLists(t, "got", arrived.values(""), []string{ours})
	})
}
