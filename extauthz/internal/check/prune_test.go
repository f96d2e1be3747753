package check

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// newFullCheck is a CheckRequest with all fields that are read, and with many others.
func newFullCheck(t testing.TB, random *rand.Rand) *auth.CheckRequest {
	t.Helper()
	text := func() string { return fmt.Sprintf("%x", random.Uint64()) }
	peer := func() *auth.AttributeContext_Peer {
		return &auth.AttributeContext_Peer{
			Principal: text(), Service: text(), Certificate: text(), Labels: map[string]string{text(): text()},
			Address: &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
				Address: text(), PortSpecifier: &core.SocketAddress_PortValue{PortValue: random.Uint32N(65536)},
			}}},
		}
	}
	extra, err := structpb.NewStruct(map[string]any{text(): text()})
	if err != nil {
		t.Fatal(err)
	}
	http := &auth.AttributeContext_HttpRequest{
		Id: text(), Method: text(), Path: text(), Host: text(), Scheme: text(), Body: text(), RawBody: []byte(text()), Size: 7, Protocol: text(),
		Headers: map[string]string{text(): text(), text(): text()},
		HeaderMap: &core.HeaderMap{Headers: []*core.HeaderValue{
			{Key: text(), Value: text()}, {Key: text(), RawValue: []byte(text())},
		}},
	}
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source: peer(), Destination: peer(), ContextExtensions: map[string]string{text(): text()},
		Request:         &auth.AttributeContext_Request{Time: timestamppb.Now(), Http: http},
		MetadataContext: &core.Metadata{FilterMetadata: map[string]*structpb.Struct{text(): extra}},
		TlsSession:      &auth.AttributeContext_TLSSession{Sni: text()},
	}}
}

// onlyRead removes the fields that a decision does not read.
func onlyRead(request *auth.CheckRequest) *auth.CheckRequest {
	request = proto.CloneOf(request)
	a := request.Attributes
	if a == nil {
		return request
	}
	a.ContextExtensions, a.MetadataContext, a.TlsSession, a.RouteMetadataContext = nil, nil, nil, nil
	for _, p := range []*auth.AttributeContext_Peer{a.Source, a.Destination} {
		if p != nil {
			p.Service, p.Certificate, p.Labels = "", "", nil
		}
	}
	if a.Request == nil {
		return request
	}
	a.Request.Time = nil
	if h := a.Request.Http; h != nil {
		a.Request.Http = &auth.AttributeContext_HttpRequest{Method: h.Method, Path: h.Path, Host: h.Host, Headers: h.Headers, HeaderMap: h.HeaderMap}
	}
	return request
}

func marshalCheck(t testing.TB, request *auth.CheckRequest) []byte {
	t.Helper()
	message, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// A pruned message decodes to the same values as the whole message, as far as they are read,
// also if parts of it come twice.
func TestPruneKeepsWhatIsRead(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		message := marshalCheck(t, newFullCheck(t, random))
		for range i % 4 { // a message twice is merged
			message = append(message, marshalCheck(t, newFullCheck(t, random))...)
		}
		var whole auth.CheckRequest
		if err := proto.Unmarshal(message, &whole); err != nil {
			t.Fatal(err)
		}
		p, err := prune(message, 1000, false)
		if err != nil || p.headers != 4*(i%4+1) || len(p.kept) > len(message) {
			t.Fatalf("%d headers, %d of %d bytes, %v", p.headers, len(p.kept), len(message), err)
		}
		if diff := cmp.Diff(onlyRead(&whole), decode(p.kept), protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
	}
}

// The presence of HTTP attributes decides between no_http and other reasons.
func TestPruneKeepsThatAPartIsThere(t *testing.T) {
	for _, request := range []*auth.CheckRequest{
		{}, {Attributes: &auth.AttributeContext{}},
		{Attributes: &auth.AttributeContext{Request: &auth.AttributeContext_Request{}}},
		{Attributes: &auth.AttributeContext{Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{}}}},
	} {
		p, err := prune(marshalCheck(t, request), 10, false)
		if got := decode(p.kept); err != nil || !proto.Equal(got, request) {
			t.Errorf("got %v, %v, want %v", got, err, request)
		}
	}
}

// A message that is cut off at any byte is an error. If that is known, its complete fields are kept.
func TestPruneOfAMessageThatIsCutOff(t *testing.T) {
	request := newFullCheck(t, rand.New(rand.NewPCG(3, 4)))
	message := marshalCheck(t, request)
	source := false
	for n := 1; n < len(message); n++ {
		if _, err := prune(message[:n], 10, false); err == nil {
			t.Fatalf("%d of %d bytes: no error", n, len(message))
		}
		p, err := prune(message[:n], 10, true)
		if err != nil {
			t.Fatalf("%d of %d bytes: %v", n, len(message), err)
		}
		got := decode(p.kept).GetAttributes().GetSource().GetPrincipal()
		if got != "" && got != request.Attributes.Source.Principal || source && got == "" {
			t.Fatalf("%d of %d bytes: source %q", n, len(message), got)
		}
		source = got != ""
	}
	if !source {
		t.Error("the source is never whole")
	}
}

func FuzzPrune(f *testing.F) {
	f.Add(marshalCheck(f, newFullCheck(f, rand.New(rand.NewPCG(5, 6)))))
	f.Add(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), bytes.Repeat([]byte{0x22, 0}, 100)))
	f.Fuzz(func(t *testing.T, message []byte) {
		var whole auth.CheckRequest
		valid := proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(message, &whole) == nil
		p, err := prune(message, len(message), false)
		if len(p.kept) > len(message) {
			t.Errorf("%d of %d bytes", len(p.kept), len(message))
		}
		if !valid {
			return
		}
		if err != nil {
			t.Fatalf("it can be decoded, and not pruned: %v", err)
		}
		if got, want := decode(p.kept), onlyRead(&whole); !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if head, err := prune(message, len(message), true); err != nil || !bytes.Equal(head.kept, p.kept) {
			t.Errorf("as if cut off: %v", err)
		}
	})
}
