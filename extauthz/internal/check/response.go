package check

import (
	"strings"
	"unicode/utf8"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/shared/decision"
)

// A CheckResponse is written by hand: its metadata would be a map of messages that are made only to be encoded.
// TestResponses compares the bytes with those of the generated code.

// The numbers of the fields that are written.
const (
	responseStatus   = 1 // CheckResponse
	responseDenied   = 2
	responseOK       = 3
	responseMetadata = 4

	statusCode = 1 // google.rpc.Status, and envoy.type.v3.HttpStatus

	okHeaders = 2 // OkHttpResponse
	okRemove  = 5

	deniedStatus  = 1 // DeniedHttpResponse
	deniedHeaders = 2
	deniedBody    = 3

	optionHeader = 1 // core.HeaderValueOption
	optionAction = 3

	structFields = 1 // google.protobuf.Struct
	valueText    = 3 // google.protobuf.Value
)

// encodedResponse is a CheckResponse as it is sent.
type encodedResponse []byte

// encodeResponse turns an answer into what Envoy carries out. Any status but OK is a denial at Envoy, and failOpen does not apply to it,
// unlike to a gRPC error.
func encodeResponse(answer decide.Answer) encodedResponse {
	b := make([]byte, 0, 384)
	b = appendMessage(b, responseStatus, func(b []byte) []byte {
		return appendNumber(b, statusCode, uint64(codeOf(answer.Decision.Reason.Class())))
	})
	if answer.Decision.Allowed() {
		b = appendMessage(b, responseOK, func(b []byte) []byte {
			b = appendHeaders(b, okHeaders, answer.SetHeaders)
			for _, name := range answer.RemoveHeaders {
				b = appendText(b, okRemove, name)
			}
			return b
		})
	} else {
		b = appendMessage(b, responseDenied, func(b []byte) []byte {
			b = appendMessage(b, deniedStatus, func(b []byte) []byte { return appendNumber(b, statusCode, uint64(answer.Status)) })
			b = appendHeaders(b, deniedHeaders, answer.Headers)
			if answer.Body != "" {
				b = appendText(b, deniedBody, answer.Body)
			}
			return b
		})
	}
	if answer.Metadata != nil {
		b = appendMessage(b, responseMetadata, func(b []byte) []byte { return appendMetadata(b, answer.Metadata) })
	}
	return b
}

// appendHeaders always states the action. Without one, Envoy up to 1.39 overwrites and later versions append, so that a forged value
// would survive beside ours.
func appendHeaders(b []byte, number protowire.Number, headers []decide.Field) []byte {
	for _, header := range headers {
		b = appendMessage(b, number, func(b []byte) []byte {
			b = appendMessage(b, optionHeader, func(b []byte) []byte {
				return appendText(appendText(b, entryKey, header.Name), entryValue, header.Value)
			})
			return appendNumber(b, optionAction, uint64(core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD))
		})
	}
	return b
}

// appendMetadata writes the fields of a google.protobuf.Struct.
func appendMetadata(b []byte, fields []decide.Field) []byte {
	for _, field := range fields {
		b = appendMessage(b, structFields, func(b []byte) []byte {
			b = appendText(b, entryKey, field.Name)
			return appendMessage(b, entryValue, func(b []byte) []byte { return appendText(b, valueText, field.Value) })
		})
	}
	return b
}

// appendMessage writes a field whose value write appends. Most values are shorter than 128 bytes, and have a length of one byte.
func appendMessage(b []byte, number protowire.Number, write func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = append(b, 0)
	start := len(b)
	b = write(b)
	size := len(b) - start
	if size < 0x80 {
		b[start-1] = byte(size)
		return b
	}
	var length [10]byte
	more := protowire.AppendVarint(length[:0], uint64(size))[1:]
	b = append(b, more...)
	copy(b[start+len(more):], b[start:start+size])
	protowire.AppendVarint(b[:start-1], uint64(size))
	return b
}

func appendNumber(b []byte, number protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), value)
}

// appendText replaces what is not UTF-8: Envoy could not decode the answer, and failOpen may turn that into an allow.
func appendText(b []byte, number protowire.Number, text string) []byte {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), text)
}

// codeOf gives the status of a CheckResponse: OK only for the class of allowed requests.
func codeOf(class decision.Class) codes.Code {
	switch class {
	case decision.Allowed:
		return codes.OK
	case decision.Unauthenticated:
		return codes.Unauthenticated
	case decision.Unavailable:
		return codes.Unavailable
	case decision.Broken:
		return codes.Internal
	default:
		return codes.PermissionDenied
	}
}

// responseCodec sends a response that is encoded already. All other messages have the codec of gRPC.
type responseCodec struct{ encoding.CodecV2 }

func newResponseCodec() responseCodec { return responseCodec{encoding.GetCodecV2(proto.Name)} }

// Marshal implements [encoding.CodecV2].
func (c responseCodec) Marshal(v any) (mem.BufferSlice, error) {
	if response, ok := v.(encodedResponse); ok {
		return mem.BufferSlice{mem.SliceBuffer(response)}, nil
	}
	return c.CodecV2.Marshal(v)
}
