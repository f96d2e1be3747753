package fidelity_test

import (
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
)

// Why Envoy ended a request, in its access log.
const (
	byDenial, byFailure, byInvalid = "ext_authz_denied", "ext_authz_error", "ext_authz_invalid"
	letIn                          = "via_upstream"
)

// testAnswers: which answers let in, which refuse, and which count as a failure
// of the authorizer, where the provider's failOpen and statusOnError decide.
func (e *alone) testAnswers(t *testing.T) {
	ok := &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{}}
	no := &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{Status: httpCode(401), Body: "no"}}
	rows := []struct {
		name, path string
		says       answer
		status     int
		body       string
		why        string
	}{
		{"OK", "/ok", allow, 200, "arrived\n", letIn},
		{"an empty message", "/empty", fixed(&auth.CheckResponse{}), 200, "arrived\n", letIn},
		{"OK without a status", "/unset", fixed(&auth.CheckResponse{HttpResponse: ok}), 200, "arrived\n", letIn},
		{"OK with a denial in it", "/ok-denied", fixed(&auth.CheckResponse{HttpResponse: no}), 200, "arrived\n", letIn},
		{"401", "/401", denied(401, `{"reason":"a"}`), 401, `{"reason":"a"}`, byDenial},
		{"403", "/403", denied(403, `{"reason":"b"}`), 403, `{"reason":"b"}`, byDenial},
		{"503", "/503", denied(503, `{"reason":"c"}`), 503, `{"reason":"c"}`, byDenial},
		{"a denial with 200", "/200", denied(200, "x"), 200, "x", byDenial},
		{"a denial without a status", "/no-status", denying(&auth.DeniedHttpResponse{Body: "x"}), 403, "x", byDenial},
		{"a denial with a status that is none", "/999", denied(999, "x"), 999, "x", byDenial},
		{"a denial without anything", "/bare", fixed(&auth.CheckResponse{Status: coded(codes.PermissionDenied)}), 403, "", byDenial},
		{"a denial with an OK in it", "/denied-ok", fixed(&auth.CheckResponse{Status: coded(codes.Unavailable), HttpResponse: ok}), 403, "", byDenial},
		{"a denial of 1 MiB", "/large", denied(403, strings.Repeat("a", 1<<20)), 403, strings.Repeat("a", 1<<20), byDenial},
		{"a gRPC error", "/error", failing, 503, "", byFailure},
		{"no answer in time", "/late", late, 503, "", byFailure},
		{"an error response", "/error-response", fixed(&auth.CheckResponse{Status: coded(codes.Internal), HttpResponse: &auth.CheckResponse_ErrorResponse{
			ErrorResponse: &auth.DeniedHttpResponse{Status: httpCode(502), Body: "x"}}}), 502, "x", byFailure},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			e.says(t, row.says)
			v := e.try(t, request(row.path))
			equal(t, "status", v.reply.status, row.status)
			equal(t, "body", v.reply.body, row.body)
			equal(t, "Checks", len(v.asked), 1)
			equal(t, "let in", len(v.arrived) == 1, row.why == letIn)
		})
	}
	t.Run("access log", func(t *testing.T) {
		var paths []string
		for _, row := range rows {
			paths = append(paths, row.path)
		}
		log := e.logged(t, paths...)
		for _, row := range rows {
			flags := "UAEX"
			if row.why == letIn {
				flags = "-"
			}
			equal(t, row.name, log[row.path].Details+" "+log[row.path].Flags, row.why+" "+flags)
		}
	})
}

// late answers after the provider's timeout, and allows.
func late() (*auth.CheckResponse, error) {
	<-time.After(500 * time.Millisecond)
	return allow()
}
