package check_test

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"
)

// Changes of the usual Check.

func setHeaders(pairs ...string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) {
		for i := 0; i < len(pairs); i += 2 {
			r.Attributes.Request.Http.Headers[pairs[i]] = pairs[i+1]
		}
	}
}

func withoutHeader(name string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) { delete(r.Attributes.Request.Http.Headers, name) }
}

func setPath(p string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) {
		r.Attributes.Request.Http.Path = p
		r.Attributes.Request.Http.Headers[":path"] = p
	}
}

func fromPrincipal(principal string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) { r.Attributes.Source.Principal = principal }
}

func toPrincipal(principal string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) { r.Attributes.Destination.Principal = principal }
}

// addRawHeaders sends the headers as the list of encode_raw_headers.
func addRawHeaders(pairs ...string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) {
		list := &core.HeaderMap{}
		for i := 0; i < len(pairs); i += 2 {
			list.Headers = append(list.Headers, &core.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
		}
		r.Attributes.Request.Http.HeaderMap = list
	}
}

func applyAll(changes ...func(*auth.CheckRequest)) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) {
		for _, change := range changes {
			change(r)
		}
	}
}

func emptyCheck(r *auth.CheckRequest) { proto.Reset(r) }
