package main

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"
)

func TestStripIdentity(t *testing.T) {
	rows := []struct {
		name     string
		in, want http.Header
	}{
		{"canonical", http.Header{"Txn-Token": {"a"}}, http.Header{}},
		{"twice", http.Header{"Txn-Token": {"a", "b"}}, http.Header{}},
		{"empty", http.Header{"Txn-Token": {""}}, http.Header{}},
		{"lower case", http.Header{"txn-token": {"a"}}, http.Header{}},
		{"upper case", http.Header{"TXN-TOKEN": {"a"}}, http.Header{}},
		{"underscore", http.Header{"Txn_Token": {"a"}, "txn_token": {"b"}}, http.Header{}},
		{"identity headers", http.Header{"X-Meshpass-User": {"a"}, "X_Meshpass_User": {"b"}, "x-meshpass_tenant": {"c"}}, http.Header{}},
		{"other separators", http.Header{"X.Meshpass.User": {"a"}, "X~Meshpass~User": {"b"}, "x|meshpass-user": {"c"}, "Txn.Token": {"d"}, "txn token": {"e"}, "X\xffMeshpass\x00User": {"f"}}, http.Header{}},
		{"connection, other separators", http.Header{"Connection": {"txn~token, close, x.meshpass.user"}}, http.Header{"Connection": {"close"}}},
		{"others stay", http.Header{"X-Txn-Token": {"a"}, "X-Meshpassing": {"b"}, "Txn": {"c"}},
			http.Header{"X-Txn-Token": {"a"}, "X-Meshpassing": {"b"}, "Txn": {"c"}}},
		{"connection", http.Header{"Connection": {"txn-token"}}, http.Header{}},
		{"connection, several spellings", http.Header{"Connection": {"close, Txn-Token ,TXN_TOKEN", "x-meshpass-user, upgrade,,"}},
			http.Header{"Connection": {"close, upgrade"}}},
		{"connection of others", http.Header{"Connection": {"keep-alive"}}, http.Header{"Connection": {"keep-alive"}}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			rw, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			r.Header = row.in
			r.Trailer = http.Header{"Txn-Token": {"a"}}
			StripIdentity(rw, r)
			requireEqual(t, r.Header, row.want)
			if r.Trailer != nil || rw.Body.Len() != 0 || rw.Flushed {
				t.Errorf("trailer %v, body %q", headerNames(r.Trailer), rw.Body)
			}
		})
	}
}

func requireEqual(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

func headerNames(h http.Header) (names []string) {
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
