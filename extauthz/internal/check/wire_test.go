package check

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
)

// The numbers of the fields are those of the descriptors, and no other field of an address holds a text or a message.
func TestFieldNumbers(t *testing.T) {
	for _, row := range []struct {
		message proto.Message
		numbers map[protoreflect.Name]protoreflect.FieldNumber
	}{
		{&auth.CheckRequest{}, map[protoreflect.Name]protoreflect.FieldNumber{"attributes": checkAttributes}},
		{&auth.AttributeContext{}, map[protoreflect.Name]protoreflect.FieldNumber{
			"source": attributesSource, "destination": attributesDestination, "request": attributesRequest,
		}},
		{&auth.AttributeContext_Peer{}, map[protoreflect.Name]protoreflect.FieldNumber{"address": peerAddress, "principal": peerPrincipal}},
		{&auth.AttributeContext_Request{}, map[protoreflect.Name]protoreflect.FieldNumber{"http": requestHTTP}},
		{&auth.AttributeContext_HttpRequest{}, map[protoreflect.Name]protoreflect.FieldNumber{
			"method": httpMethod, "headers": httpHeaders, "path": httpPath, "host": httpHost, "header_map": httpHeaderMap,
		}},
		{&core.HeaderMap{}, map[protoreflect.Name]protoreflect.FieldNumber{"headers": headerMapHeaders}},
		{&core.HeaderValue{}, map[protoreflect.Name]protoreflect.FieldNumber{"key": entryKey, "value": entryValue, "raw_value": entryRaw}},
		{&core.Address{}, map[protoreflect.Name]protoreflect.FieldNumber{
			"socket_address": addressSocket, "pipe": addressPipe, "envoy_internal_address": addressInternal,
		}},
		{&core.SocketAddress{}, map[protoreflect.Name]protoreflect.FieldNumber{
			"address": socketAddress, "port_value": socketPort, "named_port": socketNamedPort, "resolver_name": socketResolver,
			"network_namespace_filepath": socketNetwork,
		}},
		{&core.Pipe{}, map[protoreflect.Name]protoreflect.FieldNumber{"path": pipePath}},
		{&core.EnvoyInternalAddress{}, map[protoreflect.Name]protoreflect.FieldNumber{
			"server_listener_name": internalListener, "endpoint_id": internalEndpoint,
		}},
	} {
		fields := row.message.ProtoReflect().Descriptor().Fields()
		for name, number := range row.numbers {
			if got := fields.ByName(name).Number(); got != number {
				t.Errorf("%T: %s is %d, not %d", row.message, name, got, number)
			}
		}
		switch row.message.(type) {
		case *core.Address, *core.SocketAddress, *core.Pipe, *core.EnvoyInternalAddress, *core.HeaderValue, *core.HeaderMap: // decoded as a whole
			for i := range fields.Len() {
				kind := fields.Get(i).Kind()
				if _, known := row.numbers[fields.Get(i).Name()]; !known && (kind == protoreflect.StringKind || kind == protoreflect.MessageKind || fields.Get(i).IsPacked()) {
					t.Errorf("%T: %s is not read", row.message, fields.Get(i).Name())
				}
			}
		}
	}
}

// requireSameReading compares the reader with its reference.
func requireSameReading(t *testing.T, message []byte, maxHeaders int, cutOff bool) {
	t.Helper()
	p, pruneErr := prune(message, maxHeaders, cutOff)
	want := &decide.Request{}
	if pruneErr == nil {
		want = newRequest(decode(p.kept))
	}
	w := newWireReader(string(message), maxHeaders, cutOff)
	err := w.read()
	if err == nil && w.request.HTTP != nil { // the reference sorts the names always, and the reader where their order matters
		w.http.Headers.Clear()
		slices.SortFunc(w.mapped, func(a, b decide.Field) int { return strings.Compare(a.Name, b.Name) })
		w.addHeaders()
	}
	if pruneErr != nil && err == nil {
		t.Fatalf("accepted: %x", message)
	}
	if diff := cmp.Diff(want, &w.request, cmp.AllowUnexported(decide.Headers{}), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%x: %v\n-want +got\n%s", message, err, diff)
	}
	if err == nil && (w.headers != p.headers || w.kept != len(p.kept)) {
		t.Fatalf("%x: %d headers and %d bytes are kept, want %d and %d", message, w.headers, w.kept, p.headers, len(p.kept))
	}
	w.release()
}

// mutate changes a few bytes, and puts parts of the message at other places.
func mutate(random *rand.Rand, message []byte) []byte {
	message = bytes.Clone(message)
	for range random.IntN(3) {
		switch at := random.IntN(len(message)); random.IntN(4) {
		case 0:
			message[at] = byte(random.Uint32())
		case 1:
			message[at] ^= 1 << random.IntN(8)
		case 2:
			message = append(message, message[at:min(len(message), at+random.IntN(100))]...)
		default:
			message = bytes.Clone(message[:at+1])
		}
	}
	return message
}

// newOddCheck is a Check with addresses and headers of all kinds.
func newOddCheck(t testing.TB, random *rand.Rand) *auth.CheckRequest {
	check := newFullCheck(t, random)
	addresses := []*core.Address{
		nil, {}, {Address: &core.Address_Pipe{Pipe: &core.Pipe{Path: "p", Mode: 7}}},
		{Address: &core.Address_EnvoyInternalAddress{EnvoyInternalAddress: &core.EnvoyInternalAddress{EndpointId: "e"}}},
		{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Address: "10.0.0.1", PortSpecifier: &core.SocketAddress_NamedPort{NamedPort: "http"}}}},
		{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Protocol: 1, ResolverName: "r", Ipv4Compat: true}}},
	}
	if i := random.IntN(2 * len(addresses)); i < len(addresses) {
		check.Attributes.Destination.Address, check.Attributes.Source.Address = addresses[i], addresses[len(addresses)-1-i]
	}
	for _, name := range []string{"X-A", "x-a", "", "txn-token", "Txn_Token"} {
		if random.IntN(2) == 0 {
			check.Attributes.Request.Http.Headers[name] = "é"
			check.Attributes.Request.Http.HeaderMap.Headers = append(check.Attributes.Request.Http.HeaderMap.Headers, &core.HeaderValue{Key: name})
		}
	}
	return check
}

// Messages that come in several parts, are damaged, or are cut off, are read as by the reference.
func TestReadWire(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 20_000 {
		message := marshalCheck(t, newOddCheck(t, random))
		for range random.IntN(3) {
			message = append(message, marshalCheck(t, newOddCheck(t, random))...)
		}
		message = mutate(random, message)
		requireSameReading(t, message, random.IntN(12), random.IntN(4) == 0)
	}
}

func FuzzReadWire(f *testing.F) {
	random := rand.New(rand.NewPCG(11, 12))
	for range 20 {
		f.Add(mutate(random, marshalCheck(f, newOddCheck(f, random))), byte(random.IntN(12)), false)
	}
	f.Add(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), bytes.Repeat([]byte{0x22, 0}, 100)), byte(3), true)
	f.Fuzz(func(t *testing.T, message []byte, maxHeaders byte, cutOff bool) {
		requireSameReading(t, message, int(maxHeaders), cutOff)
	})
}

// Names that differ only in their case have one order, however the sender sorts them.
func TestOrderOfDoubledNames(t *testing.T) {
	for _, names := range [][]string{{"X-A", "x-a"}, {"x-a", "X-A"}} {
		var http []byte
		for _, name := range names {
			entry := protowire.AppendString(protowire.AppendTag(nil, entryKey, protowire.BytesType), name)
			entry = protowire.AppendString(protowire.AppendTag(entry, entryValue, protowire.BytesType), name)
			http = protowire.AppendBytes(protowire.AppendTag(http, httpHeaders, protowire.BytesType), entry)
		}
		message := http
		for _, number := range []protowire.Number{requestHTTP, attributesRequest, checkAttributes} {
			message = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), message)
		}
		w := newWireReader(string(message), 10, false)
		if err := w.read(); err != nil {
			t.Fatal(err)
		}
		var want decide.Headers
		want.Add("X-A", "X-A")
		want.Add("x-a", "x-a")
		if diff := cmp.Diff(want, w.http.Headers, cmp.AllowUnexported(decide.Headers{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: -want +got\n%s", names, diff)
		}
	}
}
